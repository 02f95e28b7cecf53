#include <catch2/catch.hpp>

#include "storage/object_store.hpp"
#include "util/error.hpp"
#include "util/file.hpp"

namespace dbbackup::storage {
namespace {

using util::ErrorCode;

util::Error refusal(const std::string& url, const StoreOptions& options = {}) {
  try {
    check_store_url(url, options);
  } catch (const util::Error& error) {
    return error;
  }
  FAIL("accepted: " << url);
  return {ErrorCode::internal, ""};
}

TEST_CASE("file URLs are accepted", "[storage]") {
  CHECK_NOTHROW(check_store_url("file:///var/lib/dbbackup/repository", {}));
  CHECK_NOTHROW(check_store_url("file:///with%20blank/100%25", {}));
  CHECK_NOTHROW(check_store_url("file://localhost/srv", {}));
  CHECK_NOTHROW(check_store_url("FILE:///srv", {}));
}

TEST_CASE("malformed storage URLs are refused", "[storage]") {
  const std::vector<std::string> malformed = {"",
                                              "file",
                                              "file:/srv",
                                              "://srv",
                                              "file://",
                                              "file:///",
                                              "file:////",
                                              "file://host/srv",
                                              "file://relative",
                                              "file://user@/srv",
                                              "file:///a?b=c",
                                              "file:///a#b",
                                              "file:///a%",
                                              "file:///a%2",
                                              "file:///a%zz",
                                              "file:///a%00b"};
  for (const std::string& url : malformed) {
    INFO(url);
    CHECK(refusal(url).code() == ErrorCode::usage);
  }
  CHECK(refusal("/srv/backup").hint() == "write file:///srv/backup");
}

TEST_CASE("an unknown scheme is answered with the known ones", "[storage]") {
  const util::Error error = refusal("ftp://host/path");
  CHECK(error.code() == ErrorCode::unsupported);
  CHECK_THAT(error.message(), Catch::Contains("'ftp'"));
  CHECK_THAT(error.hint(), Catch::Contains("file"));
}

TEST_CASE("URLs of remote stores are checked with their options", "[storage]") {
  const StoreOptions keys = {{"access_key", "id"}, {"secret_key", "hush"}};
  CHECK_NOTHROW(check_store_url("s3://bucket/prefix", keys));
  CHECK_NOTHROW(check_store_url("s3://bucket", {{"credentials_file", "/absent"}}));
  CHECK_NOTHROW(check_store_url("gs://bucket/prefix", {}));
  CHECK_NOTHROW(check_store_url("azblob://account/container", {{"account_key", "a2V5"}}));
  CHECK_NOTHROW(check_store_url("azblob://account/container/p", {{"sas_token", "?sv=1&sig=x"}}));
  CHECK_NOTHROW(check_store_url("sftp://user@host:22/path",
                                {{"private_key_file", "/k"}, {"known_hosts_file", "/h"}}));
  struct Case {
    std::string url;
    StoreOptions options;
    std::string named;
  };
  const std::vector<Case> wrong = {
      {"s3://bucket", {}, "access_key"},
      {"s3://", keys, "bucket"},
      {"s3://bucket/../other", keys, ".."},
      {"s3://bucket",
       {{"access_key", "id"}, {"secret_key", "s"}, {"endpoint", "host"}},
       "endpoint"},
      {"s3://bucket",
       {{"access_key", "a"}, {"secret_key", "s"}, {"path_style", "maybe"}},
       "path_style"},
      {"s3://bucket",
       {{"access_key", "a"}, {"secret_key", "s"}, {"object_lock_days", "0"}},
       "object_lock_days"},
      {"s3://bucket", {{"access_key", "a"}, {"secret_key", "s"}, {"regoin", "x"}}, "regoin"},
      {"s3://bucket",
       {{"access_key", "a"}, {"secret_key", "s"}, {"upload_limit", "fast"}},
       "upload_limit"},
      {"azblob://account", {{"account_key", "a2V5"}}, "container"},
      {"azblob://account/container", {}, "account_key"},
      {"azblob://account/container", {{"account_key", "no base64!"}}, "account_key"},
      {"sftp://user@host/path", {}, "private_key_file"},
      {"sftp://-oProxyCommand=x/path", {}, "SFTP URL"},
      {"sftp://user@host", {}, "SFTP URL"},
  };
  for (const Case& each : wrong) {
    INFO(each.url << " " << each.named);
    const util::Error error = refusal(each.url, each.options);
    CHECK(error.code() == ErrorCode::usage);
    CHECK_THAT(error.message(), Catch::Contains(each.named));
  }
  CHECK(
      refusal("s3://bucket", {{"access_key", "a"}, {"secret_key", "s"}, {"regoin", "x"}}).hint() ==
      "did you mean region?");
}

TEST_CASE("a password in a storage URL is refused and not repeated", "[storage]") {
  for (const std::string url : {"s3://key:hunter2@bucket/prefix", "sftp://user:hunter2@host/path",
                                "file://user:hunter2@host/path", "ftp://:hunter2@host"}) {
    const util::Error error = refusal(url);
    CHECK(error.code() == ErrorCode::usage);
    CHECK_THAT(error.message() + error.hint(), !Catch::Contains("hunter2"));
    CHECK_THAT(error.hint(), Catch::Contains("options"));
  }
}

TEST_CASE("an unknown option is named", "[storage]") {
  const util::Error error = refusal("file:///srv", {{"secret_key", "hunter2"}});
  CHECK(error.code() == ErrorCode::usage);
  CHECK_THAT(error.message(), Catch::Contains("secret_key") && !Catch::Contains("hunter2"));
}

TEST_CASE("checking a URL touches nothing and opening it creates the folder", "[storage]") {
  const util::TemporaryFolder folder(std::filesystem::temp_directory_path(), "dbbackup-test");
  const std::string url = "file://" + folder.path().string() + "/a%20b/store/";
  check_store_url(url, {});
  CHECK(std::filesystem::is_empty(folder.path()));

  const auto store = open_store(url, {}, StoreMode::create);
  CHECK(std::filesystem::is_directory(folder.path() / "a b" / "store"));
  CHECK(store->describe() == "file://" + folder.path().string() + "/a b/store");
  CHECK_THROWS_AS(open_store("ftp://host/path", {}, StoreMode::create), util::Error);
}

}  // namespace
}  // namespace dbbackup::storage
