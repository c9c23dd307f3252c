"""Values of the environment."""

import os


def get_dotenv_value(key: str, default: object = None) -> object:
    value = os.getenv(key, default)
    return value
