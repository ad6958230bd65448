"""What zxing-cpp reads in a picture: a JSON list of [format, text]."""

import json
import sys

import zxingcpp
from PIL import Image

found = zxingcpp.read_barcodes(Image.open(sys.argv[1]).convert("L"))
print(json.dumps(sorted([str(code.format).split(".")[-1], code.text] for code in found)))
