"""Starts ministack with gaps of its scheduler and of its authorization filled.

EventBridge Scheduler replaces <aws.scheduler.scheduled-time> and its like in a target's
input; ministack delivers the words as they stand. It looks for due schedules less often
than a test wants to wait. And with AUTH=true it asks for other grants than AWS does: it
takes every schedule for one of the group "default", a parameter path for "*", and a batch
of messages for an action of its own. All are mended here, by private names: keep the version in requirements.txt pinned. This is test
code; the product knows nothing of it.
"""

import datetime
import json
import uuid

from ministack.core import iam_actions
from ministack.services import eventbridge, scheduler

scheduler._SCHEDULE_TICK_INTERVAL = 1
deliver = eventbridge._invoke_target
resource_of = iam_actions.extract_resource_arn
action_of = iam_actions.extract_iam_action


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


def resource(service, method, path, headers, body, query, *rest):
    """The resource that AWS authorizes a call on."""
    arn = resource_of(service, method, path, headers, body, query, *rest)
    try:
        said = json.loads(body) if body else {}
    except ValueError:
        said = {}
    if service == "scheduler" and ":schedule/default/" in arn:
        group = said.get("GroupName") or next(iter(query.get("groupName") or []), "default")
        return arn.replace(":schedule/default/", f":schedule/{group}/")
    if service == "ssm" and arn == "*" and said.get("Path"):
        region, account = rest[-2:]
        return f"arn:aws:ssm:{region}:{account}:parameter{said['Path']}"
    return arn


def action(*args, **kwargs):
    """The action that AWS authorizes a call as: sqs:SendMessage allows batches, too."""
    found = action_of(*args, **kwargs)
    return found.removesuffix("Batch") if found and found.startswith("sqs:") else found


eventbridge._invoke_target = substitute
iam_actions.extract_iam_action = action
iam_actions.extract_resource_arn = resource

if __name__ == "__main__":
    from ministack.app import main

    main()
