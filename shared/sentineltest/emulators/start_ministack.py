"""Starts ministack with two gaps of its scheduler filled.

EventBridge Scheduler replaces <aws.scheduler.scheduled-time> and its like in a target's
input; ministack delivers the words as they stand. And it looks for due schedules less
often than a test wants to wait. Both are mended here, by private names: keep the version
in requirements.txt pinned. This is test code; the product knows nothing of it.
"""

import datetime
import uuid

from ministack.services import eventbridge, scheduler

scheduler._SCHEDULE_TICK_INTERVAL = 1
deliver = eventbridge._invoke_target


def substitute(target, event, rule, view=None):
    if event.get("Source") == "aws.scheduler" and target.get("Input"):
        minute = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
        text = target["Input"]
        for word, value in {
            "scheduled-time": minute.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "execution-id": str(uuid.uuid4()),
            "attempt-number": "1",
            "schedule-arn": rule.get("Arn", ""),
        }.items():
            text = text.replace(f"<aws.scheduler.{word}>", value)
        target = {**target, "Input": text}
    return deliver(target, event, rule, view)


eventbridge._invoke_target = substitute

if __name__ == "__main__":
    from ministack.app import main

    main()
