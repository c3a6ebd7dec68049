"""The stages `data` and `split`."""

from pipeline.competition import DataFiles
from pipeline.files import replacing
from pipeline.split import Split, exact_duplicates
from pipeline.stages.context import Context


def data(context: Context) -> DataFiles:
    """Fetch the competition's files and check every cell of them. Raises PipelineError."""
    labelled, unlabelled, files = context.training_digits, context.test_images, context.files
    context.report(f"{files.train}: {len(labelled.labels):,} labelled rows, every cell checked")
    context.report(f"{files.test}: {len(unlabelled):,} rows to predict, every cell checked")
    return files


def split(context: Context) -> Split:
    """Make the recipe's split, and list the images that stand in the data more than once.

    The list is a leak check: it goes to <data>-duplicates.csv beside the split. Raises
    PipelineError.
    """
    made = context.split
    context.report(
        f"split {made.fingerprint[:12]}: {len(made.train_rows):,} training and "
        f"{len(made.validation_rows):,} validation rows, stratified, in {context.split_path}"
    )
    table = exact_duplicates(context.training_digits, context.test_images)
    name = f"{context.data_fingerprint[:12]}-duplicates.csv"
    path = context.split_path.with_name(name)
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)
    within = int((table["kind"] == "train").sum())
    context.report(
        f"exact duplicates: {within} within train.csv, {len(table) - within} between train.csv "
        f"and test.csv, listed in {path}"
    )
    return made
