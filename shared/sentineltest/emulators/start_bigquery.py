"""Starts Crucible, an emulator of BigQuery, and adds the dry runs that it lacks.

A dry run answers with the kind of statement as Crucible's own planner reads it. A SELECT is
run to find its errors, anything else is only planned. Sizes are zero, as all sizes of
Crucible are. Errors of dry runs are HTTP errors, as the REST reference says.
"""

import sys

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from crucible.dialects.bigquery.dialect import DIALECT
from crucible.engine import CrucibleError, Engine, ExecContext
from crucible.server.app import create_app
from crucible.server.bigquery.app import BigQueryServer
from crucible.server.bigquery.errors import http_error
from crucible.server.bigquery.jobs import check_query_config, obj

insert = BigQueryServer.jobs_insert


def statement_type(server, project, config):
    check_query_config(config)
    statements = DIALECT.split(config["query"])
    if len(statements) > 1:
        return "SCRIPT"
    default = obj(config.get("defaultDataset"))
    session = DIALECT.new_session(default.get("projectId") or project, default.get("datasetId"))
    with server.engine.cursor(session) as cursor:
        context = ExecContext(server.engine, DIALECT, session, cursor, None)
        plan = DIALECT.plan(statements[0], context)
        if plan.statement_type == "SELECT":
            context.run(plan)
        return plan.statement_type


async def jobs_insert(server, request):
    body = await request.json()
    configuration = obj(body.get("configuration"))
    if not configuration.get("dryRun"):
        return await insert(server, request)
    project = request.path_params["project"]
    try:
        kind = await run_in_threadpool(statement_type, server, project, obj(configuration.get("query")))
    except CrucibleError as error:
        return http_error(error, query_parameter=True)
    return JSONResponse({
        "kind": "bigquery#job", "configuration": configuration, "status": {"state": "DONE"},
        "jobReference": {"projectId": project, "location": obj(body.get("jobReference")).get("location") or "US"},
        "statistics": {"totalBytesProcessed": "0", "query": {"statementType": kind, "totalBytesProcessed": "0"}},
    })


BigQueryServer.jobs_insert = jobs_insert
uvicorn.run(create_app("bigquery", Engine(None)), host="127.0.0.1", port=int(sys.argv[1]), access_log=False)
