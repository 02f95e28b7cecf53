// What storage/object_store.hpp promises, as tests. Every store passes all of it.
#pragma once

#include <functional>
#include <memory>

#include "storage/object_store.hpp"

namespace dbbackup::test {

// Makes an empty store that lives as long as the test.
using StoreFactory = std::function<std::unique_ptr<storage::ObjectStore>()>;

// Requires: called from the body of a test case, once.
void check_object_store(const StoreFactory& make_store);

}  // namespace dbbackup::test
