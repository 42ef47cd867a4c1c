"""Starts fakesnow, an emulator of Snowflake, and has it take the settings of a session, which
it does not know, without effect."""

import sys

import uvicorn
from fakesnow.instance import FakeSnow

connect = FakeSnow.connect


def lenient(self, *args, **kwargs):
    kwargs["nop_regexes"] = (kwargs.get("nop_regexes") or []) + [r"^ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS"]
    return connect(self, *args, **kwargs)


FakeSnow.connect = lenient
uvicorn.run("fakesnow.server:app", host="127.0.0.1", port=int(sys.argv[1]), access_log=False)
