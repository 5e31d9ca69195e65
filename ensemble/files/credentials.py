"""Where the credentials of object stores come from; looked for, and never read."""

import os
from pathlib import Path
from typing import Final

_VARIABLES: Final = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
           "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS",),
}  # fmt: skip

_FILES: Final = {
    "s3": ((".aws/credentials", "AWS_SHARED_CREDENTIALS_FILE"), (".aws/config", "AWS_CONFIG_FILE")),
    "gs": ((".config/gcloud/application_default_credentials.json", ""),),
}

REMEDIES: Final = {
    "s3": "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…",
    "gs": "gcloud auth application-default login",
}
"""What to do where none are found, by the scheme of an address."""


def found_in(scheme: str) -> str:
    """Return where the credentials of a scheme, "s3" or "gs", are told; "" where nowhere.

    A machine of the provider may have its own, which only its network tells.
    """
    for name in _VARIABLES[scheme]:
        if os.environ.get(name):
            return name
    for place, variable in _FILES[scheme]:
        path = Path(os.environ.get(variable, "") or Path.home() / place)
        if path.is_file():
            return str(path)
    return ""


def lacking(uri: str) -> str:
    """Return what a message says of credentials that are not there; "" where there are some."""
    scheme = uri.partition("://")[0]
    if found_in(scheme):
        return ""
    return f"; no credentials were found: {REMEDIES[scheme]}"
