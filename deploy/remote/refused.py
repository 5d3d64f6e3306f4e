"""An expected no of the command line. A module of its own, so that the fast path loads nothing else."""


class Refused(Exception):
    """It cannot be done; the message is for people. status: of the HTTP answer, 0 without one."""

    def __init__(self, message: str, *, status: int = 0, is_out_of_reach: bool = False) -> None:
        super().__init__(message)
        self.status, self.is_out_of_reach = status, is_out_of_reach
