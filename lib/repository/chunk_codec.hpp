// One chunk between its plaintext and its record (FORMAT.md section 4).
//
// Threads: pure functions of their arguments, safe from any thread.
// Errors: open_record() throws verification_failed or unsupported with the bare problem.
#pragma once

#include "repository/format.hpp"
#include "repository/keys.hpp"

namespace dbbackup::repository {

ChunkId chunk_id(const Keys& keys, util::ByteView plain);

// Replaces `record`; returns its kind.
ChunkKind make_record(const Keys& keys, const ChunkId& id, util::ByteView plain, int level,
                      util::Bytes& record);

// Replaces `plain` by the authenticated plaintext of `entry`'s record.
void open_record(const Keys& keys, const PackEntry& entry, util::ByteView record,
                 util::Bytes& plain);

// As open_record(), and hashes the plaintext again: what a scrub does on top.
void verify_record(const Keys& keys, const PackEntry& entry, util::ByteView record,
                   util::Bytes& plain);

}  // namespace dbbackup::repository
