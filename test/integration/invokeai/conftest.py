import os

collect_ignore = [] if os.environ.get("INVOKEAI_PYTHON") else ["test_real_server.py"]
