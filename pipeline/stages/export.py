"""The stage `export`: runs that exist, logged to MLflow."""

from pipeline.common.errors import PipelineError
from pipeline.stages.context import Context
from pipeline.tracking import address


def export(context: Context) -> None:
    """Log the runs that the request names, or all finished ones, to MLflow.

    Of a run that is there, only what is missing or changed is added. Raises PipelineError.
    """
    uri = address.tracking_uri()
    if not uri:
        raise PipelineError(
            f"{address.VARIABLE} is not set; say where to log: make export "
            f"{address.VARIABLE}=http://127.0.0.1:5000, or sqlite:///mlflow.db for a file"
        )
    runs = context.chosen_runs or [one for one in context.store.all() if one.state() == "done"]
    if not runs:
        context.report("no finished runs; make submit makes one")
        return
    address.prepare()
    from pipeline.tracking.live import reason
    from pipeline.tracking.server import Server

    server = Server(uri)
    for run in runs:
        try:
            changed = server.log(run, context.ledger)
        except Exception as error:  # whatever a server, its driver or a proxy may do
            raise PipelineError(
                f"MLflow at {address.shown(uri)} failed ({reason(error)}); mend that, and the same "
                "command adds what is missing"
            ) from None
        context.report(f"run {run.id}: {'logged' if changed else 'is there already'}")
