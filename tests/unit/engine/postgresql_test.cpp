#include <catch2/catch.hpp>
#include <optional>

#include "engine/postgresql/connection.hpp"
#include "engine/postgresql/definitions.hpp"
#include "engine/postgresql/dialect.hpp"
#include "engine/postgresql/login.hpp"
#include "engine/postgresql/relations.hpp"
#include "engine/postgresql/server_error.hpp"

using namespace dbbackup;
using namespace dbbackup::engine::postgresql;
using util::ErrorCode;

namespace {
std::optional<util::Error> error_of_url(const std::string& url) {
  try {
    engine::parse_url(url);
  } catch (const util::Error& error) {
    return error;
  }
  return std::nullopt;
}

Definition definition(int id, const std::string& kind, const std::string& name,
                      std::vector<int> needs = {}, const std::string& create = {}) {
  Definition entry;
  entry.id = id;
  entry.kind = kind;
  entry.schema = "public";
  entry.name = name;
  entry.create = create;
  entry.section = Definition::Section::pre_data;
  entry.needs = std::move(needs);
  return entry;
}
}  // namespace

TEST_CASE("PostgreSQL URLs are taken apart", "[engine][postgresql]") {
  const auto plain = engine::parse_url("postgresql://app@db.example:6543/shop?sslmode=verify-full");
  CHECK(plain.engine == "postgresql");
  CHECK(plain.user == "app");
  CHECK(plain.host == "db.example");
  CHECK(plain.port == 6543);
  CHECK(plain.database == "shop");
  REQUIRE(plain.parameters.size() == 1);
  CHECK(plain.parameters[0].second == "verify-full");

  CHECK(engine::parse_url("postgres://a%40b@[::1]/x%2Fy").user == "a@b");
  CHECK(engine::parse_url("postgres://a@[::1]:5433/x%2Fy").host == "::1");
  CHECK(engine::parse_url("postgres://a@[::1]:5433/x%2Fy").port == 5433);
  CHECK(engine::parse_url("postgres://a@[::1]/x%2Fy").database == "x/y");
  CHECK(engine::parse_url("postgresql://a@/shop?host=/run/postgresql").host == "/run/postgresql");
  CHECK(engine::parse_url("postgresql://a@%2Frun%2Fpostgresql/shop").host == "/run/postgresql");
}

TEST_CASE("PostgreSQL URLs that cannot be used are refused with a hint", "[engine][postgresql]") {
  for (const char* url :
       {"postgresql://app@host", "postgresql://app@host/", "postgresql:///shop",
        "postgresql://app@host:0/shop", "postgresql://app@host:x/shop",
        "postgresql://app@[::1/shop", "postgresql://app:secret@host/shop",
        "postgresql://app@host/shop?password=secret", "postgresql://app@host/shop?sslmod=require",
        "postgresql://app@host/shop?sslmode"}) {
    INFO(url);
    const auto error = error_of_url(url);
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::usage);
    CHECK(error->message().find("secret") == std::string::npos);
  }
  CHECK(error_of_url("postgresql://app@host/shop?sslmod=require")->hint().find("sslmode") !=
        std::string::npos);
}

TEST_CASE("PostgreSQL options are checked", "[engine][postgresql]") {
  CHECK_NOTHROW(engine::check_options("postgresql", {{"lock_timeout", "5s"},
                                                     {"no_owner", "true"},
                                                     {"create_roles", "false"},
                                                     {"program_folder", "/usr/bin"}}));
  for (const auto& [name, value] :
       engine::Options{{"lock_timeout", "soon"}, {"no_owner", "yes"}, {"program_folder", "bin"}}) {
    CHECK_THROWS_AS(engine::check_options("postgresql", {{name, value}}), util::Error);
  }
}

TEST_CASE("the password is a connection parameter and in no string for programs",
          "[engine][postgresql]") {
  engine::Settings settings;
  settings.password = [] { return std::string("s3cret"); };
  const Login login = make_login(engine::parse_url("postgresql://app@host/it's"), settings);
  CHECK(login.connection_string("it's").find("s3cret") == std::string::npos);
  CHECK(login.connection_string("it's").find("dbname='it\\'s'") != std::string::npos);
  CHECK(login.parameters("x").back() == std::pair<std::string, std::string>("password", "s3cret"));
}

TEST_CASE("what the server says becomes a code that knows whether to try again",
          "[engine][postgresql]") {
  CHECK(explained("28P01", "password authentication failed").code() ==
        ErrorCode::permission_denied);
  CHECK(explained("3D000", "x").code() == ErrorCode::not_found);
  CHECK(explained("57P01", "x").code() == ErrorCode::unavailable);
  CHECK(explained("55P03", "x").code() == ErrorCode::unavailable);
  CHECK(explained("40001", "x").code() == ErrorCode::unavailable);
  CHECK(explained("53100", "x").code() == ErrorCode::no_space);
  CHECK(explained("XX001", "x").code() == ErrorCode::source_damaged);
  CHECK(explained("", "").code() == ErrorCode::unavailable);
  CHECK(explained("99999", "ERROR:  odd\nsecond line").message() == "odd (SQLSTATE 99999)");
  std::string message = "connection failed: FATAL:  28P01: password authentication failed\nmore";
  CHECK(take_state(message) == "28P01");
  CHECK(message == "password authentication failed\nmore");
}

TEST_CASE("names of tables are quoted only where two could be confused", "[engine][postgresql]") {
  CHECK(table_id("public", "orders") == "public.orders");
  CHECK(table_id("a.b", "c") == "\"a.b\".c");
  CHECK(table_id("a", "b.c") == "a.\"b.c\"");
  CHECK(table_id("a", "b/0") == "a.\"b/0\"");
  CHECK(table_id("a", "b\"c") == "a.\"b\"\"c\"");
  std::string out;
  PostgresqlDialect().table_name({"a.\"b.\"\"c\"", {}, {}}, out);
  CHECK(out == "\"a\".\"b.\"\"c\"");
}

TEST_CASE("literals", "[engine][postgresql]") {
  CHECK(quote_text("it's") == "'it''s'");
  CHECK(quote_text("a\\'b") == " E'a\\\\''b'");
  CHECK(array_literal({"a", "b\"c", "d\\e"}) == "{\"a\",\"b\\\"c\",\"d\\\\e\"}");
}

TEST_CASE("a chosen table brings what it depends on and what belongs to it",
          "[engine][postgresql]") {
  Definitions definitions;
  definitions.list = {
      definition(1, "TYPE", "state"),
      definition(2, "FUNCTION", "stamp()"),
      definition(3, "TABLE", "customers"),
      definition(4, "TABLE", "orders", {1}),
      definition(5, "SEQUENCE", "orders_id_seq"),
      definition(6, "SEQUENCE OWNED BY", "orders_id_seq", {4, 5}),
      definition(7, "DEFAULT", "orders id", {4, 5}),
      definition(8, "CONSTRAINT", "customers customers_pkey", {3}),
      definition(9, "INDEX", "orders_note", {4}),
      definition(10, "COMMENT", "INDEX orders_note", {9}),
      definition(11, "TRIGGER", "orders stamp", {4, 2}),
      definition(12, "FK CONSTRAINT", "orders orders_customer_fkey", {4, 3, 8}),
      definition(13, "VIEW", "big_orders", {4}),
  };
  std::vector<std::string> left_out;
  CHECK(closure(definitions, {{"public", "orders"}}, left_out) ==
        std::set<int>{1, 2, 4, 5, 6, 7, 9, 10, 11});
  CHECK(left_out == std::vector<std::string>{"FK CONSTRAINT public.orders orders_customer_fkey"});
  left_out.clear();
  CHECK(closure(definitions, {{"public", "orders"}, {"public", "customers"}}, left_out) ==
        std::set<int>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  CHECK(left_out.empty());
}

TEST_CASE("definitions compare by object, whatever the order and the casts",
          "[engine][postgresql]") {
  Definitions source;
  Definitions restored;
  source.list = {definition(1, "TABLE", "a", {},
                            "CHECK ((x)::text = ANY ((ARRAY['n'::character varying])::text[]))"),
                 definition(2, "TABLE", "b", {}, "one")};
  restored.list = {definition(7, "TABLE", "b", {}, "one"),
                   definition(8, "TABLE", "a", {},
                              "CHECK (((x)::text = ANY (ARRAY[('n'::character varying)::text])))")};
  CHECK(hash_definitions(source, {}) == hash_definitions(restored, {}));
  CHECK(differences(source, restored, {}, 9).empty());
  restored.list[0].create = "two";
  restored.list.push_back(definition(9, "VIEW", "v"));
  CHECK_FALSE(hash_definitions(source, {}) == hash_definitions(restored, {}));
  CHECK(differences(source, restored, {}, 9) ==
        std::vector<std::string>{"TABLE public.b differs",
                                 "VIEW public.v is there but was not backed up"});
}

TEST_CASE("definitions that are no archive are refused", "[engine][postgresql]") {
  CHECK_THROWS_AS(read_definitions(util::as_bytes("PGDMP")), util::Error);
  CHECK_THROWS_AS(read_definitions(util::as_bytes("something else entirely")), util::Error);
}
