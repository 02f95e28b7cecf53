"""MongoDB's wire protocol and BSON as bytes, as far as the tests need them.

Documents stay the bytes they are, so that a test can send and compare what no decoder accepts. Sources: bsonspec.org, and
mongodb.com/docs/manual/reference/mongodb-wire-protocol (OP_MSG, OP_QUERY, OP_REPLY).
"""
import socket
import ssl
import struct

import bson
from bson.codec_options import CodecOptions

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
FIXED = {0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0}
DECODE = CodecOptions(tz_aware=True)


def encode(document):
    return document if isinstance(document, bytes) else bson.encode(document)


def decode(raw):
    return bson.decode(raw, DECODE)


def elements(raw):
    """(type, name, value) of each element; name and value as bytes."""
    position, end = 4, struct.unpack_from("<i", raw)[0] - 1
    while position < end:
        kind = raw[position]
        name_end = raw.index(b"\0", position + 1)
        name, start = raw[position + 1:name_end], name_end + 1
        if kind in FIXED:
            size = FIXED[kind]
        elif kind in (0x02, 0x0D, 0x0E):
            size = 4 + struct.unpack_from("<i", raw, start)[0]
        elif kind == 0x0C:
            size = 16 + struct.unpack_from("<i", raw, start)[0]
        elif kind == 0x05:
            size = 5 + struct.unpack_from("<i", raw, start)[0]
        elif kind in (0x03, 0x04, 0x0F):
            size = struct.unpack_from("<i", raw, start)[0]
        elif kind == 0x0B:
            size = raw.index(b"\0", raw.index(b"\0", start) + 1) + 1 - start
        else:
            raise ValueError(f"unknown BSON type {kind}")
        yield kind, name, raw[start:start + size]
        position = start + size


def build(parts):
    """A document of (type, name, value) parts."""
    body = b"".join(bytes([kind]) + name + b"\0" + value for kind, name, value in parts)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def element(raw, name):
    for kind, key, value in elements(raw):
        if key == name:
            return kind, value
    return None


def field(raw, name, default=None):
    """The decoded value of one field; the rest of the document is not looked at."""
    found = element(raw, name.encode())
    return default if found is None else decode(build([(found[0], b"x", found[1])]))["x"]


def embedded(raw, name):
    """The bytes of an embedded document or array; None for anything else."""
    found = element(raw, name.encode())
    return found[1] if found and found[0] in (0x03, 0x04) else None


def array(documents):
    return build([(0x03, str(i).encode(), document) for i, document in enumerate(documents)])


def with_parts(raw, *parts):
    """The document with further elements at its end."""
    return build([*elements(raw), *parts])


def receive(connection, size):
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise ConnectionError("closed")
        data += piece
    return bytes(data)


def read_message(connection):
    """(request id, response to, op code, body)"""
    size, request, response, code = struct.unpack("<iiii", receive(connection, 16))
    return request, response, code, receive(connection, size - 16)


def message(request, response, code, body):
    return struct.pack("<iiii", 16 + len(body), request, response, code) + body


def parse_msg(body):
    """The command of an OP_MSG as one document: sequences (kind 1) become arrays of it."""
    position, command, sequences = 4, None, []
    end = len(body) - (4 if struct.unpack_from("<I", body)[0] & 1 else 0)
    while position < end:
        kind = body[position]
        size = struct.unpack_from("<i", body, position + 1)[0]
        section = body[position + 1:position + 1 + size]
        if kind == 0:
            command = section
        else:
            name_end = section.index(b"\0", 4)
            documents, at = [], name_end + 1
            while at < size:
                length = struct.unpack_from("<i", section, at)[0]
                documents.append(section[at:at + length])
                at += length
            sequences.append((0x04, section[4:name_end], array(documents)))
        position += 1 + size
    return with_parts(command, *sequences) if sequences else command


class CommandError(Exception):
    def __init__(self, code, text):
        super().__init__(f"{text} ({code})")
        self.code = code


class Client:
    """One connection that sends commands and returns replies as bytes."""

    def __init__(self, port, tls=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        if tls:
            context = ssl.create_default_context(cafile=tls)
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.request = 0

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def raw(self, database, command):
        self.request += 1
        command = with_parts(encode(command), (0x02, b"$db", struct.pack("<i", len(database) + 1) + database.encode() + b"\0"))
        self.socket.sendall(message(self.request, 0, OP_MSG, b"\0\0\0\0\0" + command))
        reply = parse_msg(read_message(self.socket)[3])
        if not field(reply, "ok"):
            raise CommandError(field(reply, "code", 0), field(reply, "errmsg", ""))
        for problem in field(reply, "writeErrors", []):
            raise CommandError(problem.get("code", 0), problem.get("errmsg", ""))
        return reply

    def command(self, database, command):
        return decode(self.raw(database, command))

    def insert(self, database, collection, documents, batch=12 << 20, options=None):
        pending, size = [], 0
        for document in [encode(one) for one in documents] + [None]:
            if pending and (document is None or size + len(document) > batch or len(pending) >= 5000):
                self.raw(database, build([*elements(encode({"insert": collection, **(options or {})})), (0x04, b"documents", array(pending))]))
                pending, size = [], 0
            if document is not None:
                pending.append(document)
                size += len(document)

    def rows(self, database, command):
        """All documents of a cursor, as bytes."""
        reply, found, name = self.raw(database, command), [], "firstBatch"
        while True:
            cursor = embedded(reply, "cursor")
            found += [value for _, _, value in elements(embedded(cursor, name))]
            number = field(cursor, "id")
            if number == 0:
                return found
            collection = field(cursor, "ns").split(".", 1)[1]
            reply, name = self.raw(database, {"getMore": bson.int64.Int64(number), "collection": collection}), "nextBatch"

    def find(self, database, collection):
        return self.rows(database, {"find": collection})
