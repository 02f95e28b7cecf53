// What an update entry of the oplog makes of a document.
//
// Since MongoDB 5.0 such an entry holds a delta: fields deleted, updated in place, inserted at the
// end, and deltas of embedded documents and arrays. It is applied here, on the document's bytes,
// because the server offers it to administrators of the whole cluster only (applyOps), and other
// servers not at all. Fields keep their order exactly.
//
// Threads: pure functions. Errors: unsupported for a delta of an unknown shape.
// Source: src/mongo/db/update/document_diff_serialization.h, whose comment is the format's
// description.
#pragma once

#include "engine/mongodb/bson.hpp"

namespace dbbackup::engine::mongodb {

Document apply_delta(util::ByteView document, util::ByteView delta);

}  // namespace dbbackup::engine::mongodb
