// Stores around stores, for any kind.
//
// Threads: as ObjectStore. Owns: the store inside.
#pragma once

#include <memory>

#include "http/client.hpp"
#include "storage/object_store.hpp"

namespace dbbackup::storage {

// Repeats operations that fail with unavailable or timed_out. A put_new() that is told, after an
// attempt that broke, that the object exists, compares contents: its own object is a success.
// For stores that do not repeat by themselves.
std::unique_ptr<ObjectStore> make_retrying(std::unique_ptr<ObjectStore> inner,
                                           const http::RetryPolicy& policy = {});

// Holds objects back so that their bytes pass no faster than the limits say; null: no limit. Whole
// objects at a time: for stores that cannot slow down by themselves.
std::unique_ptr<ObjectStore> make_throttled(std::unique_ptr<ObjectStore> inner,
                                            std::shared_ptr<http::RateLimit> upload,
                                            std::shared_ptr<http::RateLimit> download);

}  // namespace dbbackup::storage
