"""Runs a command in a network of its own that holds the loopback alone: `unshare --net --map-root-user` starts this.

The loopback of a fresh network is down, and tests that start a server on 127.0.0.1 need it.
"""

import fcntl
import os
import socket
import struct
import sys

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    request = struct.pack("16sH14x", b"lo", 0)
    (flags,) = struct.unpack_from("16xH", fcntl.ioctl(control, SIOCGIFFLAGS, request))
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))
if sys.argv[1:]:
    os.execvp(sys.argv[1], sys.argv[1:])
