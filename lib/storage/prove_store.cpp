// Whether a store can do what a repository will ask of it, found out before anything depends on it.
#include <algorithm>

#include "crypto/cipher.hpp"
#include "storage/object_store.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::storage {

namespace {

using util::cat;
using util::Error;
using util::ErrorCode;

// What each kind of storage calls the right to do it.
struct Rights {
  std::string_view scheme;
  std::string_view write;
  std::string_view read;
  std::string_view list;
  std::string_view remove;
  std::string_view lock;
};
constexpr Rights kRights[] = {
    {"s3", "s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject",
     "s3:PutObjectRetention, in a bucket made with Object Lock"},
    {"gs", "storage.objects.create", "storage.objects.get", "storage.objects.list",
     "storage.objects.delete", ""},
    {"azblob", "write (create, w)", "read (r)", "list (l)", "delete (d)", ""},
    {"sftp", "to write files", "to read files", "to list folders", "to remove files", ""},
    {"file", "to write files", "to read files", "to list folders", "to remove files", ""},
};

const Rights& rights_of(const std::string& scheme) {
  for (const Rights& rights : kRights) {
    if (rights.scheme == scheme) return rights;
  }
  return kRights[std::size(kRights) - 1];
}

template <typename Work>
auto step(std::string_view what, std::string_view right, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    const std::string context = cat("the store cannot be used: ", what, " a probe object failed");
    if (error.code() != ErrorCode::permission_denied) throw error.with_context(context);
    const std::string permission = cat("the permission ", right, " is missing");
    throw error.with_context(context).with_hint(
        error.hint().empty() ? permission : cat(error.hint(), "; otherwise ", permission));
  }
}

Error broken_promise(const ObjectStore& store, std::string_view what) {
  return {ErrorCode::unsupported, cat(store.describe(), " ", what), "it cannot hold a repository"};
}

}  // namespace

void prove_store(ObjectStore& store, const std::string& scheme) {
  const Rights& rights = rights_of(scheme);
  util::Bytes content(64);
  crypto::random_bytes(content.data(), content.size());
  const std::string key = cat("probe/", util::to_hex(util::ByteView(content).first(8)));
  step("writing", rights.write, [&] { store.put(key, content); });
  // Whatever comes now, the probe goes.
  bool removed = false;
  const auto clean_up = [&] {
    if (removed) return;
    try {
      store.remove(key);
    } catch (const Error&) {
      // What went wrong first is what is told.
    }
  };
  try {
    const bool replaced =
        step("creating", rights.write, [&] { return store.put_new(key, content); });
    if (replaced) {
      throw broken_promise(store,
                           "does not honour conditional writes: an object that exists was "
                           "created again");
    }
    if (step("reading", rights.read, [&] { return store.get(key); }) != content) {
      throw broken_promise(store, "returned other content than was stored");
    }
    const util::Bytes part = step("reading a part of", rights.read, [&] {
      return store.get(key, Range{16, 16});
    });
    if (!std::equal(part.begin(), part.end(), content.begin() + 16)) {
      throw broken_promise(store, "returned another part than was asked for");
    }
    bool listed = false;
    step("listing", rights.list, [&] {
      store.list("probe/", [&](const ObjectInfo& info) {
        listed = listed || (info.key == key && info.size == content.size());
      });
    });
    if (!listed) throw broken_promise(store, "does not list an object that was just stored");
    step("removing", rights.remove, [&] { store.remove(key); });
    removed = true;
    if (store.stat(key)) throw broken_promise(store, "still has an object that was removed");
  } catch (...) {
    clean_up();
    throw;
  }
}

}  // namespace dbbackup::storage
