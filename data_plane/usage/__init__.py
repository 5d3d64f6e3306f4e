"""Usage events out: the spool on the pod's own disk and the reporter that ships it. Nothing is dropped."""
