#include <catch2/catch.hpp>

#include "engine/engine.hpp"
#include "util/error.hpp"

using namespace dbbackup;

namespace {
std::string refusal(const std::string& url) {
  try {
    engine::parse_url(url);
  } catch (const util::Error& error) {
    CHECK(error.code() == util::ErrorCode::usage);
    return error.message();
  }
  return {};
}
}  // namespace

TEST_CASE("MongoDB URLs are taken apart", "[engine][mongodb]") {
  const auto address = engine::parse_url(
      "mongodb://an%40n@a.example:27017,b.example:27018/shop?replicaSet=rs0&authSource=admin");
  CHECK(address.engine == "mongodb");
  CHECK(address.user == "an@n");
  CHECK(address.host == "a.example:27017,b.example:27018");
  CHECK(address.database == "shop");
  CHECK(address.parameters.size() == 2);
  CHECK(engine::parse_url("mongodb+srv://cluster.example.com/shop").engine == "mongodb");
  CHECK(engine::parse_url("mongodb://%2Ftmp%2Fmongodb-27017.sock/shop").host ==
        "/tmp/mongodb-27017.sock");
}

TEST_CASE("MongoDB URLs that cannot be used say why", "[engine][mongodb]") {
  CHECK(refusal("mongodb://ann:secret@h/shop").find("password") != std::string::npos);
  CHECK(refusal("mongodb://h").find("name the database") != std::string::npos);
  CHECK(refusal("mongodb://h/?replicaSet=x").find("name the database") != std::string::npos);
  CHECK(refusal("mongodb://h?replicaSet=x").find("name the database") != std::string::npos);
  CHECK(refusal("mongodb:///shop").find("host") != std::string::npos);
  CHECK(refusal("mongodb://h/admin").find("admin") != std::string::npos);
  CHECK(refusal("mongodb://h/a.b").find("not a name") != std::string::npos);
  CHECK(refusal("mongodb://h:99999/shop").find("malformed") != std::string::npos);
  CHECK(refusal("mongodb://h/shop?tlsCertificateKeyFilePassword=x").find("secret") !=
        std::string::npos);
  CHECK(refusal("mongodb://h/shop?authMechanismProperties=AWS_SESSION_TOKEN:abc").find("secret") !=
        std::string::npos);
  CHECK(refusal("mongodb://h/shop?tls").find("no value") != std::string::npos);
}

TEST_CASE("options of MongoDB databases are checked", "[engine][mongodb]") {
  CHECK_NOTHROW(engine::check_options("mongodb", {{"range", "64KiB"}, {"users", "no"}}));
  CHECK_NOTHROW(engine::check_options("mongodb", {{"range", "off"}, {"restore_users", "yes"}}));
  CHECK_THROWS_AS(engine::check_options("mongodb", {{"range", "1"}}), util::Error);
  CHECK_THROWS_AS(engine::check_options("mongodb", {{"users", "maybe"}}), util::Error);
  CHECK_THROWS_AS(engine::check_options("mongodb", {{"rnage", "64KiB"}}), util::Error);
}
