// Requests survive being stored; secrets are not stored at all.
#include "job/request.hpp"

#include <catch2/catch.hpp>

#include "util/error.hpp"

namespace dbbackup::job {

TEST_CASE("job: a request survives being written and read", "[job]") {
  Request request;
  request.scope.include = {"orders_*", "it's \"odd\""};
  request.scope.exclude = {"*_log"};
  request.scope.where = {{"orders", "total > 5"}, {"größe", "x = 'a'"}};
  request.scope.parallel = 7;
  request.mode = "append";
  request.integrity_check = false;
  request.target = "shop2";
  request.file = "/srv/a b.dbbackup";
  request.format = "csv";
  request.read_percent = 25;
  const Request read = decode_request(encode_request(request));
  CHECK(read.scope.include == request.scope.include);
  CHECK(read.scope.exclude == request.scope.exclude);
  CHECK(read.scope.where == request.scope.where);
  CHECK(read.scope.parallel == 7);
  CHECK(read.mode == "append");
  CHECK_FALSE(read.integrity_check);
  CHECK(read.target == "shop2");
  CHECK(read.file == "/srv/a b.dbbackup");
  CHECK(read.format == "csv");
  CHECK(read.read_percent == 25);
  CHECK_FALSE(read.passphrase_lost);
}

TEST_CASE("job: an empty request has the defaults", "[job]") {
  for (const char* stored : {"", "{}"}) {
    const Request request = decode_request(stored);
    CHECK(request.scope.everything());
    CHECK(request.scope.parallel == Request{}.scope.parallel);
    CHECK(request.mode == "create");
    CHECK(request.integrity_check);
    CHECK(request.read_percent == 0);
  }
}

TEST_CASE("job: a passphrase is never stored, but that there was one is", "[job]") {
  Request request;
  request.passphrase = crypto::Secret::from_text("correct horse");
  const std::string stored = encode_request(request);
  CHECK(stored.find("correct") == std::string::npos);
  const Request read = decode_request(stored);
  CHECK(read.passphrase.empty());
  CHECK(read.passphrase_lost);
}

}  // namespace dbbackup::job
