"""The stages `data` and `split`."""

from pipeline.common.files import replacing
from pipeline.data.dataset import DataFiles
from pipeline.data.split import Split, exact_duplicates
from pipeline.stages.context import Context


def data(context: Context) -> DataFiles:
    """Fetch the competition's files and check them, cell by cell or sum. Raises PipelineError."""
    files, found = context.files, context.dataset
    checked = "checksum right" if files.form == "idx" else "every cell checked"
    context.report(f"{files.train}: {len(found.labelled.labels):,} labelled rows, {checked}")
    context.report(f"{files.test}: {len(found.test_images):,} rows to predict, {checked}")
    return files


def split(context: Context) -> list[Split]:
    """Make the recipe's splits, and list the images that stand in the data more than once.

    The list is a leak check: it goes to <data>-duplicates.csv beside the splits. Raises
    PipelineError.
    """
    made = context.splits
    for one, path in zip(made, context.split_paths, strict=True):
        context.report(
            f"split {one.fingerprint[:12]}: {len(one.train_rows):,} training and "
            f"{len(one.validation_rows):,} validation rows, stratified, in {path}"
        )
    table = exact_duplicates(context.dataset.labelled, context.dataset.test_images)
    name = f"{context.dataset.fingerprint[:12]}-duplicates.csv"
    path = context.split_paths[0].with_name(name)
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)
    within = int((table["kind"] == "train").sum())
    context.report(
        f"exact duplicates: {within} within the labelled rows, {len(table) - within} between them "
        f"and the rows to predict, listed in {path}"
    )
    return made
