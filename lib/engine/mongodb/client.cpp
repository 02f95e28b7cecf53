#include "engine/mongodb/client.hpp"

#include <mongoc/mongoc.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <utility>

#include "engine/mongodb/sockets.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using util::ByteView;
using util::cat;
using util::Error;
using util::ErrorCode;

struct Release {
  void operator()(mongoc_uri_t* uri) const { mongoc_uri_destroy(uri); }
  void operator()(mongoc_client_t* client) const { mongoc_client_destroy(client); }
  void operator()(mongoc_client_session_t* session) const {
    mongoc_client_session_destroy(session);
  }
  void operator()(mongoc_session_opt_t* options) const { mongoc_session_opts_destroy(options); }
  void operator()(mongoc_server_description_t* description) const {
    mongoc_server_description_destroy(description);
  }
};
template <typename T>
using Handle = std::unique_ptr<T, Release>;

// A bson_t on the stack that the driver fills or we append to.
class Scratch {
 public:
  Scratch() { bson_init(&bson_); }
  ~Scratch() { bson_destroy(&bson_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  bson_t* get() { return &bson_; }

 private:
  bson_t bson_;
};

// The driver wants this once per process. What it would print says nothing that an error does not.
void start_driver() {
  static std::once_flag once;
  std::call_once(once, [] {
    mongoc_log_set_handler(nullptr, nullptr);
    mongoc_init();
  });
}

bool one_of(int number, std::initializer_list<int> numbers) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

// Source: src/mongo/base/error_codes.yml of the server, and the retryable-reads specification's
// list of retryable errors.
ErrorCode code_of(int number) {
  if (one_of(number, {13, 18, 8000})) return ErrorCode::permission_denied;
  if (one_of(number, {6,     7,     11, 89,  91,  189, 237, 262, 9001, 10107, 11600, 11601, 11602,
                      13435, 13436, 43, 112, 133, 134, 136, 175, 202,  246,   239,   384,   317})) {
    return ErrorCode::unavailable;
  }
  if (number == 50) return ErrorCode::timed_out;
  if (number == kNamespaceNotFound) return ErrorCode::not_found;
  if (number == kNamespaceExists) return ErrorCode::already_exists;
  if (number == kDuplicateKey) return ErrorCode::conflict;
  if (number == 14031) return ErrorCode::no_space;
  if (one_of(number, {59, 115, 238})) return ErrorCode::unsupported;
  return ErrorCode::io;
}

std::string hint_of(int number) {
  if (number == 13)
    return "grant the login the roles `backup` and `restore`, or read on the database";
  if (number == 18) {
    return "check user and password, and authSource in the URL if the user is not of this database";
  }
  if (one_of(number, {189, 10107, 11602, 13435, 13436, 91, 11600})) {
    return "the replica set changed its primary; run it again";
  }
  if (number == 43) return "the server dropped the cursor, perhaps after a restart; run it again";
  return {};
}

// Errors of the driver itself, and of servers through it.
Error driver_error(std::string_view what, const bson_error_t& error) {
  const std::string message = util::printable(static_cast<const char*>(error.message));
  const int number = static_cast<int>(error.code);
  switch (error.domain) {
    case MONGOC_ERROR_SERVER:
      return server_error(what, number, message);
    case MONGOC_ERROR_STREAM:
    case MONGOC_ERROR_SERVER_SELECTION:
      // A login that is refused shows as a failed selection when the server was looked for.
      if (message.find("uthentication failed") != std::string::npos) {
        return {ErrorCode::permission_denied, cat(what, ": ", message), hint_of(18)};
      }
      return {ErrorCode::unavailable, cat(what, ": ", message),
              "check address, port, TLS options and that the server runs"};
    case MONGOC_ERROR_CLIENT:
      if (number == MONGOC_ERROR_CLIENT_AUTHENTICATE) {
        return {ErrorCode::permission_denied, cat(what, ": ", message), hint_of(18)};
      }
      return {ErrorCode::io, cat(what, ": ", message)};
    case MONGOC_ERROR_COMMAND:
      return {ErrorCode::usage, cat(what, ": ", message)};
    case MONGOC_ERROR_PROTOCOL:
      return {ErrorCode::unsupported, cat(what, ": ", message)};
    default:
      return {ErrorCode::unavailable, cat(what, ": ", message)};
  }
}

Handle<mongoc_uri_t> parse_uri(const std::string& url) {
  start_driver();
  bson_error_t error;
  Handle<mongoc_uri_t> uri(mongoc_uri_new_with_error(url.c_str(), &error));
  if (!uri) {
    throw Error(
        ErrorCode::usage,
        cat("the URL is malformed: ", util::printable(static_cast<const char*>(error.message))),
        "mongodb://user@host1,host2/database?replicaSet=NAME");
  }
  return uri;
}

Handle<mongoc_uri_t> uri_with_password(const Endpoint& endpoint) {
  Handle<mongoc_uri_t> uri = parse_uri(endpoint.url);
  const std::string password = endpoint.password ? endpoint.password() : std::string();
  if (!password.empty() && mongoc_uri_get_username(uri.get()) != nullptr) {
    mongoc_uri_set_password(uri.get(), password.c_str());
  }
  mongoc_uri_set_appname(uri.get(), "dbbackup");
  return uri;
}

std::string command_name(const Document& command) {
  Walker walker(command.view());
  const auto first = walker.next();
  return first ? std::string(first->name) : std::string();
}
}  // namespace

void require_usable_url(const std::string& url) { parse_uri(url); }

bool ServerError::is_missing_feature() const {
  // CommandNotFound, CommandNotSupported, NotImplemented, and what servers say to an option or
  // stage they do not know: FailedToParse, InvalidOptions, IDLUnknownField, unknown pipeline stage.
  return one_of(number_, {59, 115, 238, 9, 72, 40415, 40324, 2}) || is_denied();
}

bool ServerError::is_denied() const { return one_of(number_, {13, 8000}); }

ServerError server_error(std::string_view what, int number, std::string_view message) {
  return {Error(code_of(number),
                cat(what, ": ", util::printable(message), " (server code ", number, ")"),
                hint_of(number)),
          number};
}

// Filled by the driver, which initialises it in every case.
struct Reply::Held {
  bson_t bson;
  ~Held() { bson_destroy(&bson); }
};

ByteView Reply::view() const { return {bson_get_data(&held_->bson), held_->bson.len}; }

struct Client::Parts {
  Parts(const std::string& database_name, std::stop_token token)
      : database(database_name), stop(std::move(token)) {}

  std::string database;
  std::stop_token stop;
  Sockets sockets;
  Handle<mongoc_uri_t> uri;
  Handle<mongoc_client_t> client;
  Handle<mongoc_client_session_t> session;
  std::uint32_t server_id = 0;
  ServerInfo info;
  // Last, so that it is gone before what it touches.
  std::optional<std::stop_callback<std::function<void()>>> on_stop;

  void check() const {
    if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "cancelled");
  }
  void connect(Purpose purpose);
  void open_session();
  Reply run(const std::string& database_name, const Document& command);
  [[noreturn]] void fail(const Document& command, const bson_error_t& error, ByteView reply) const;
};

void Client::Parts::connect(Purpose purpose) {
  bson_error_t error;
  client.reset(mongoc_client_new_from_uri_with_error(uri.get(), &error));
  if (!client) throw driver_error("cannot connect", error);
  mongoc_client_set_error_api(client.get(), MONGOC_ERROR_API_VERSION_2);
  sockets.attach(client.get());
  const bool write = purpose == Purpose::write;
  const Handle<mongoc_server_description_t> server(mongoc_client_select_server(
      client.get(), write, write ? nullptr : mongoc_client_get_read_prefs(client.get()), &error));
  check();
  if (!server) throw driver_error("cannot connect", error);
  server_id = mongoc_server_description_id(server.get());
  const bson_t* hello = mongoc_server_description_hello_response(server.get());
  const ByteView said(bson_get_data(hello), hello->len);
  info.set_name = find_text(said, "setName");
  info.router = find_text(said, "msg") == "isdbgrid";
  info.wire_version = find_integer(said, "maxWireVersion").value_or(0);
  info.sessions = find(said, "logicalSessionTimeoutMinutes").has_value();
  const auto number = [&](std::string_view name, std::uint64_t otherwise) {
    const auto value = find_integer(said, name);
    return value && *value > 0 ? static_cast<std::uint64_t>(*value) : otherwise;
  };
  info.max_document_bytes = number("maxBsonObjectSize", info.max_document_bytes);
  info.max_batch_documents = number("maxWriteBatchSize", info.max_batch_documents);
}

// A cursor belongs to the session that opened it, so a client has one session for all it does. It
// must not be causal: the driver would then add a read concern of its own to ours.
void Client::Parts::open_session() {
  if (!info.sessions) return;
  const Handle<mongoc_session_opt_t> options(mongoc_session_opts_new());
  mongoc_session_opts_set_causal_consistency(options.get(), false);
  bson_error_t error;
  session.reset(mongoc_client_start_session(client.get(), options.get(), &error));
  info.sessions = session != nullptr;
}

Reply Client::Parts::run(const std::string& database_name, const Document& command) {
  check();
  bson_t request;
  if (!bson_init_static(&request, command.view().data(), command.view().size())) {
    throw Error(ErrorCode::internal, "a command is not BSON");
  }
  Scratch options;
  bson_error_t error{};
  BSON_APPEND_INT32(options.get(), "serverId", static_cast<std::int32_t>(server_id));
  if (session && !mongoc_client_session_append(session.get(), options.get(), &error)) {
    throw driver_error("cannot use a session", error);
  }
  const auto reply = std::make_shared<Reply::Held>();
  const bool ok = mongoc_client_command_with_opts(client.get(), database_name.c_str(), &request,
                                                  mongoc_client_get_read_prefs(client.get()),
                                                  options.get(), &reply->bson, &error);
  check();
  const Reply answer(reply);
  if (!ok) fail(command, error, answer.view());
  return answer;
}

void Client::Parts::fail(const Document& command, const bson_error_t& error, ByteView reply) const {
  std::string what = command_name(command);
  const std::string object = find_text(command.view(), what);
  if (!object.empty()) what = cat(what, " of ", util::printable(object));
  if (const auto number = find_integer(reply, "code")) {
    throw server_error(what, static_cast<int>(*number), find_text(reply, "errmsg"));
  }
  if (error.domain == MONGOC_ERROR_SERVER) {
    throw server_error(what, static_cast<int>(error.code), static_cast<const char*>(error.message));
  }
  throw driver_error(what, error);
}

Client::Client(const Endpoint& endpoint, Purpose purpose, const std::stop_token& stop)
    : parts_(std::make_unique<Parts>(endpoint.database, stop)) {
  parts_->uri = uri_with_password(endpoint);
  parts_->on_stop.emplace(stop, [parts = parts_.get()] { parts->sockets.shut_down(); });
  parts_->connect(purpose);
  const Reply build = command("admin", Document().int32("buildInfo", 1));
  parts_->info.version = find_text(build.view(), "version");
  parts_->info.product = "MongoDB";
  if (const auto ferret = find(build.view(), "ferretdb")) {
    const auto inner = ferret->document();
    parts_->info.product = cat("FerretDB ", inner ? find_text(*inner, "version") : std::string());
  } else if (const std::string ferret_version = find_text(build.view(), "ferretdbVersion");
             !ferret_version.empty()) {
    parts_->info.product = cat("FerretDB ", ferret_version);
  }
  parts_->open_session();
}

Client::~Client() = default;

const ServerInfo& Client::server() const { return parts_->info; }
const std::string& Client::database() const { return parts_->database; }

Reply Client::command(const std::string& database, const Document& command) {
  return parts_->run(database, command);
}

namespace {
constexpr std::int64_t kBatchBytes = std::int64_t{12} << 20U;
constexpr std::int64_t kBatchGrowth = 16;

Batch batch_of(Reply reply, std::string_view name) {
  const auto list = find_path(reply.view(), {"cursor", name});
  const auto documents = list ? list->document() : std::nullopt;
  if (!documents) throw Error(ErrorCode::io, cat("the server's reply has no ", name));
  Batch batch{std::move(reply), *documents, 0};
  Walker walker(batch.list);
  while (walker.next()) ++batch.documents;
  return batch;
}

std::int64_t next_batch_size(const Batch& batch) {
  const auto documents = static_cast<std::int64_t>(batch.documents);
  if (documents == 0) return kBatchGrowth;
  const std::int64_t average = static_cast<std::int64_t>(batch.list.size()) / documents + 1;
  return std::clamp<std::int64_t>(kBatchBytes / average, 1, documents * kBatchGrowth);
}

void kill_cursor(Client& client, const std::string& database, std::string_view collection,
                 std::int64_t id) {
  const Document ids = Document().int64("0", id);
  const Element list{BsonType::array, "cursors", ids.view()};
  try {
    client.command(database, Document().text("killCursors", collection).element(list));
  } catch (const ServerError&) {
    // The server's own timeout removes it.
  }
}
}  // namespace

void each_batch(Client& client, const std::string& database, const Document& command,
                const std::function<bool(const Batch&)>& take) {
  Batch batch = batch_of(client.command(database, command), "firstBatch");
  for (;;) {
    const auto id_element = find_path(batch.reply.view(), {"cursor", "id"});
    const std::int64_t id = id_element ? id_element->integer().value_or(0) : 0;
    const auto ns_element = find_path(batch.reply.view(), {"cursor", "ns"});
    const std::string_view ns = ns_element ? ns_element->text().value_or("") : "";
    const std::string collection(ns.substr(std::min(ns.size(), ns.find('.') + 1)));
    const std::int64_t size = next_batch_size(batch);
    if (!take(batch)) {
      if (id != 0) kill_cursor(client, database, collection, id);
      return;
    }
    if (id == 0) return;
    batch = batch_of(client.command(database, Document()
                                                  .int64("getMore", id)
                                                  .text("collection", collection)
                                                  .int64("batchSize", size)),
                     "nextBatch");
  }
}

bool each_row(const Batch& batch, const std::function<bool(ByteView)>& take) {
  Walker walker(batch.list);
  while (const auto row = walker.next()) {
    const auto document = row->document();
    if (document && !take(*document)) return false;
  }
  return true;
}

void each_row(Client& client, const std::string& database, const Document& command,
              const std::function<bool(ByteView)>& take) {
  each_batch(client, database, command, [&](const Batch& batch) { return each_row(batch, take); });
}

std::vector<Document> all_rows(Client& client, const std::string& database,
                               const Document& command) {
  std::vector<Document> rows;
  each_row(client, database, command, [&](ByteView row) {
    rows.emplace_back(row);
    return true;
  });
  return rows;
}

std::optional<Document> first_row(Client& client, const std::string& database,
                                  const Document& command) {
  std::optional<Document> first;
  each_row(client, database, command, [&](ByteView row) {
    first.emplace(row);
    return false;
  });
  return first;
}

}  // namespace dbbackup::engine::mongodb
