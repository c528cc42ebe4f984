"""Give the grade of a pair to pins in other languages that show the same image.

    python -m pipelines.share_grades --config pipelines/configs/demo/share_grades.yaml
    python -m pipelines.share_grades --tables T --soft_labels runs/mine/soft_labels --output runs/mine/shared_labels
    python -m pipelines.train_student --soft_labels '["runs/mine/soft_labels", "runs/mine/shared_labels"]'

in : soft_labels/    pairs that a teacher graded; of one whose pin is in the query's language the grade can be shared
     pins/           pin_id, locale, image_url: which pins show the same image
     pin_text/       pin_id, source, fingerprint
out: shared_labels/  the same logits for pins in other languages, as soft labels that train_student reads
An image answers a query in whatever language it is described; a teacher grades best what it reads in the query's own.
"""

import logging

from pydantic import Field

from pinrank.pipeline import JobSettings, Summary, run
from pinrank.soft_labels import read_labels
from pinrank.tables import PIN_TEXT, PINS, SOFT_LABELS, read, write
from pinrank.teacher.shared_grades import shared
from pinrank.teacher.siblings import SameImage

log = logging.getLogger(__name__)


class ShareGrades(JobSettings):
    """Settings of share_grades."""

    tables: str = Field("runs/demo/tables", description="folder of pinrank's tables: pins and pin_text")
    soft_labels: str = Field("runs/demo/soft_labels", description="the teacher's grades, of one job or a folder a day")
    output: str = Field("runs/demo/shared_labels", description="their soft labels; an older table is replaced")
    pins_per_pair: int = Field(1, ge=1, description="pins in other languages that get a pair's grade, at most")
    seed: int = Field(0, ge=0, description="another seed chooses other pins")


def main(settings: ShareGrades) -> Summary:
    """Read, share, write."""
    labels = read_labels(settings.soft_labels)
    same = SameImage.of(read(f"{settings.tables}/pins", PINS, ["pin_id", "locale", "image_url"]).to_pylist())
    pin_text = read(f"{settings.tables}/pin_text", PIN_TEXT, ["pin_id", "source", "fingerprint"])
    found = shared(labels, same, pin_text, settings.pins_per_pair, settings.seed)
    log.info("%d of %d grades hold for pins in other languages", found.num_rows, labels.num_rows)
    write(found, settings.output, SOFT_LABELS)
    return Summary(rows_in=labels.num_rows, rows_out=found.num_rows)


if __name__ == "__main__":
    run(main, ShareGrades)
