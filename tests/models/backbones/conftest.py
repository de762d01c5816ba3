from importlib.util import find_spec

from models.backbones.hugging_face import PACKAGE

collect_ignore = [] if find_spec(PACKAGE) else ["test_hugging_face.py"]
