"""What a way to send says where a message did not arrive."""

from experiments.errors import OfferlabError


class Undelivered(OfferlabError):
    """It did not arrive; the message says why, for people."""

    code = "undelivered"
