// The open repositories: one that takes long to open is its own users' trouble only.
#include <future>

#include "unit/job/shop_fixture.hpp"

namespace dbbackup::test {

TEST_CASE("a repository that takes long to open keeps nobody else waiting", "[job]") {
  ShopFixture fixture;
  fixture.add_file_repository("other", fixture.folder.path() / "other");
  const std::string id = fixture.repositories.get("other")->id();
  fixture.repositories.forget("other");
  // Somebody holds its chunk index, for which opening waits.
  auto holder = std::make_unique<sqlite::Connection>(
      (fixture.folder.path() / (id + ".db")).string(), sqlite::OpenMode::read_write);
  holder->execute("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE");
  auto slow = std::async(std::launch::async, [&] { return fixture.repositories.get("other"); });
  CHECK(slow.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout);
  CHECK(fixture.repositories.get("main") != nullptr);
  CHECK(slow.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  holder.reset();
  CHECK(slow.get() != nullptr);
}

}  // namespace dbbackup::test
