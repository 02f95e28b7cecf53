#include <catch2/catch.hpp>

#include "contract/object_store_contract.hpp"
#include "support/faulty_store.hpp"
#include "util/file.hpp"

namespace dbbackup::test {
namespace {

TEST_CASE("the memory store keeps the contract", "[storage][contract]") {
  check_object_store([] { return storage::open_memory_store(); });
}

TEST_CASE("the local store keeps the contract", "[storage][contract]") {
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "dbbackup-test");
  check_object_store([&] { return storage::open_local_store(folder.path() / "store"); });
}

TEST_CASE("a faulty store without faults keeps the contract", "[storage][contract]") {
  check_object_store([] { return std::make_unique<FaultyStore>(storage::open_memory_store()); });
}

}  // namespace
}  // namespace dbbackup::test
