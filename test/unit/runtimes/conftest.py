import sys
from pathlib import Path

# No package: test modules find what they share by its own name.
sys.path.insert(0, str(Path(__file__).parent))
