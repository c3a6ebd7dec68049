"""The stage `split`: the recipe's splits, and a list of exact duplicates in the data."""

from pipeline.common.files import replacing
from pipeline.data.split import Split, exact_duplicates
from pipeline.stages.context import Context


def split(context: Context) -> list[Split]:
    """Make the recipe's splits, and list the images that occur in the data more than once.

    The list is a check for leaks. It is written to <data>-duplicates.csv beside the splits. Raises
    PipelineError.
    """
    splits, paths = context.splits, context.split_paths
    for fold, path in zip(splits, paths, strict=True):
        context.report(
            f"split {fold.fingerprint[:12]}: {len(fold.train_rows):,} training and "
            f"{len(fold.validation_rows):,} validation rows, stratified, in {path}"
        )
    table = exact_duplicates(context.dataset.labelled, context.dataset.test_images)
    path = paths[0].with_name(f"{context.dataset.fingerprint[:12]}-duplicates.csv")
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)
    within = int((table["kind"] == "train").sum())
    context.report(
        f"exact duplicates: {within} within the labelled rows, {len(table) - within} between them "
        f"and the rows to predict, listed in {path}"
    )
    return splits
