// What reading costs at least: a plain driver loop that looks at every document of a database once.
//
// Usage: mongodb_floor URI    prints documents, bytes and seconds
#include <mongoc/mongoc.h>

#include <chrono>
#include <cstdint>
#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  mongoc_init();
  mongoc_uri_t* uri = mongoc_uri_new(argv[1]);
  mongoc_client_t* client = uri != nullptr ? mongoc_client_new_from_uri(uri) : nullptr;
  if (client == nullptr) return 64;
  mongoc_database_t* database = mongoc_client_get_database(client, mongoc_uri_get_database(uri));
  bson_error_t error;
  const auto begin = std::chrono::steady_clock::now();
  char** names = mongoc_database_get_collection_names_with_opts(database, nullptr, &error);
  if (names == nullptr) {
    std::fprintf(stderr, "%s\n", static_cast<const char*>(error.message));
    return 1;
  }
  std::uint64_t documents = 0;
  std::uint64_t bytes = 0;
  int status = 0;
  bson_t everything = BSON_INITIALIZER;
  for (char** name = names; *name != nullptr; ++name) {
    mongoc_collection_t* collection = mongoc_database_get_collection(database, *name);
    mongoc_cursor_t* cursor =
        mongoc_collection_find_with_opts(collection, &everything, nullptr, nullptr);
    const bson_t* document = nullptr;
    while (mongoc_cursor_next(cursor, &document)) {
      ++documents;
      bytes += document->len;
    }
    if (mongoc_cursor_error(cursor, &error)) {
      std::fprintf(stderr, "%s\n", static_cast<const char*>(error.message));
      status = 1;
    }
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(collection);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%llu %llu %.3f\n", static_cast<unsigned long long>(documents),
              static_cast<unsigned long long>(bytes), took.count());
  bson_destroy(&everything);
  bson_strfreev(names);
  mongoc_database_destroy(database);
  mongoc_client_destroy(client);
  mongoc_uri_destroy(uri);
  mongoc_cleanup();
  return status;
}
