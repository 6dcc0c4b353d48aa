"""The version of the client, which is that of the service it was made with."""

VERSION = "0.1.0"
