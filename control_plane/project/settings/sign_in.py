"""django-allauth, as far as it is used: its protocol code, none of its pages and rows.

Connections are rows of organizations (control_plane.identity); an app in its sense lives as long as a request.
"""

ALLAUTH_APPS = ["allauth", "allauth.account", "allauth.socialaccount"]

ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_ADAPTER = "control_plane.identity.adapters.TenantAdapter"
SOCIALACCOUNT_STORE_TOKENS = False

BEAT_SCHEDULE: dict[str, dict[str, object]] = {
    "identity: assertions": {"task": "identity.assertions_forget", "schedule": 3600.0, "options": {"expires": 3600}},
}
