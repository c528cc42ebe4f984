"""Train the teacher of test_train on a running cluster: python -m tests.teacher.trained_on BACKBONE FOLDER"""

import sys
from pathlib import Path

from pinrank.cluster import connect
from tests.teacher.test_train import here, trained

if __name__ == "__main__":
    connect()
    trained(here(Path(sys.argv[1]), epochs=1), Path(sys.argv[2]))
