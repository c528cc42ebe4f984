"""Train the teacher of test_train as a driver of its own: python -m tests.teacher.trained_on SETTINGS FOLDER

SETTINGS as JSON. On the cluster that RAY_ADDRESS names, or in a session of its own.
"""

import sys
from pathlib import Path

from pinrank.cluster import ClusterSettings, connect
from pinrank.teacher.settings import TeacherSettings
from tests.teacher.test_train import trained

if __name__ == "__main__":
    connect(ClusterSettings(num_cpus=2, dashboard=False))
    trained(TeacherSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
