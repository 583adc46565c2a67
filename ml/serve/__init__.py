"""The inference server: one model over HTTP by the Open Inference Protocol, version 2.

It stands alone in the image: of this repository it imports nothing but itself.
"""

VERSION = "0.1.0"
