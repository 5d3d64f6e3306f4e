"""Puts what a service refused back where it was typed."""

from collections.abc import Mapping

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.forms import BaseForm


def show_failure(form: BaseForm, failure: ValidationError, fields: Mapping[str, str] | None = None) -> None:
    """Attach a service's ValidationError to a form. fields: the form's name of a service's field, where they differ."""
    if not hasattr(failure, "error_dict"):
        form.add_error(None, failure)
        return
    for name, problems in failure.error_dict.items():
        own_name = (fields or {}).get(name, name)
        if name == NON_FIELD_ERRORS or own_name not in form.fields:
            form.add_error(None, [message for problem in problems for message in problem.messages])
        else:
            form.add_error(own_name, [message for problem in problems for message in problem.messages])
