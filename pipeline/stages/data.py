"""The stage `data`: the source's files, fetched and checked."""

from pipeline.data.dataset import DataFiles
from pipeline.stages.context import Context


def data(context: Context) -> DataFiles:
    """Fetch the files of the source and check every cell or checksum. Raises PipelineError."""
    files, dataset = context.files, context.dataset
    checked = "checksum right" if files.form == "idx" else "every cell checked"
    context.report(f"{files.train}: {len(dataset.labelled.labels):,} labelled rows, {checked}")
    context.report(f"{files.test}: {len(dataset.test_images):,} rows to predict, {checked}")
    return files
