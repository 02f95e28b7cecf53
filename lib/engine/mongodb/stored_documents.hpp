// The documents of an artifact's stream, one after the other, whole.
//
// A stream comes in pieces that end where documents do, except where one is larger than a chunk may
// be: such a one is put together here.
//
// Threads: `take` runs on the caller's thread. Errors: those of the reader; verification_failed
// when the stream ends inside a document.
#pragma once

#include <functional>
#include <string>

#include "repository/stream.hpp"

namespace dbbackup::engine::mongodb {

void each_stored_document(repository::ArtifactReader& reader, const std::string& stream,
                          unsigned workers, util::Task& task,
                          const std::function<void(util::ByteView document)>& take);

}  // namespace dbbackup::engine::mongodb
