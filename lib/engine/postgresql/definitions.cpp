#include "engine/postgresql/definitions.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::postgresql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

// Archive versions this build reads; PostgreSQL 12 to 18 write them.
// Source: PostgreSQL's pg_backup_archiver.h (K_VERS_*) and pg_backup_archiver.c (ReadHead,
// ReadToc).
constexpr unsigned kAccessMethodVersion = 14;  // 1.14: entries name their table access method
constexpr unsigned kCompressionVersion = 15;   // 1.15: compression as one byte
constexpr unsigned kRelationKindVersion = 16;  // 1.16: entries name their kind of relation
constexpr unsigned kOldestVersion = 12;
constexpr unsigned kNewestVersion = 16;
constexpr std::uint8_t kCustomFormat = 1;
constexpr std::size_t kDateIntegers = 7;

class ArchiveCursor {
 public:
  explicit ArchiveCursor(util::ByteView archive) : archive_(archive) {}

  std::uint8_t byte() { return take(1)[0]; }
  std::size_t position() const { return position_; }
  void set_integer_bytes(std::size_t bytes) { integer_bytes_ = bytes; }
  void skip(std::size_t bytes) { take(bytes); }

  // A sign and the magnitude, least significant byte first.
  int integer() {
    const bool negative = byte() != 0;
    std::uint64_t value = 0;
    const util::ByteView bytes = take(integer_bytes_);
    for (std::size_t i = 0; i < bytes.size() && i < 8; ++i) {
      value |= std::uint64_t{bytes[i]} << (8 * i);
    }
    return negative ? -static_cast<int>(value) : static_cast<int>(value);
  }
  std::optional<std::string> text_or_null() {
    const int length = integer();
    if (length < 0) return std::nullopt;
    return std::string(util::as_text(take(static_cast<std::size_t>(length))));
  }
  std::string text() { return text_or_null().value_or(std::string()); }

 private:
  util::ByteView take(std::size_t bytes) {
    if (bytes > archive_.size() - position_) {
      throw Error(ErrorCode::verification_failed, "the definitions end in the middle of an entry");
    }
    const util::ByteView piece = archive_.subspan(position_, bytes);
    position_ += bytes;
    return piece;
  }
  util::ByteView archive_;
  std::size_t position_ = 0;
  std::size_t integer_bytes_ = 4;
};

struct Head {
  unsigned version = 0;  // the minor of 1.x
  std::size_t offset_bytes = 8;
  std::size_t date_at = 0;
  std::size_t date_bytes = 0;
};

Head read_head(ArchiveCursor& cursor) {
  for (const char c : std::string_view("PGDMP")) {
    if (cursor.byte() != static_cast<std::uint8_t>(c)) {
      throw Error(ErrorCode::verification_failed, "the definitions are not an archive of pg_dump");
    }
  }
  Head head;
  const unsigned major = cursor.byte();
  head.version = cursor.byte();
  cursor.byte();  // revision
  if (major != 1 || head.version < kOldestVersion || head.version > kNewestVersion) {
    throw Error(
        ErrorCode::unsupported,
        cat("this build cannot read pg_dump's archives of version ", major, ".", head.version),
        "update dbbackup");
  }
  const std::size_t integer_bytes = cursor.byte();
  cursor.set_integer_bytes(integer_bytes);
  head.offset_bytes = cursor.byte();
  if (cursor.byte() != kCustomFormat) {
    throw Error(ErrorCode::verification_failed, "the definitions are not in the custom format");
  }
  if (head.version >= kCompressionVersion) {
    cursor.byte();
  } else {
    cursor.integer();
  }
  head.date_at = cursor.position();
  head.date_bytes = kDateIntegers * (integer_bytes + 1);
  cursor.skip(head.date_bytes);
  return head;
}

Definition::Section section_of(int number) {
  // Source: pg_backup.h, teSection: none, pre-data, data, post-data from 1 on.
  switch (number) {
    case 2:
      return Definition::Section::pre_data;
    case 3:
      return Definition::Section::data;
    case 4:
      return Definition::Section::post_data;
    default:
      return Definition::Section::none;
  }
}

Definition read_definition(ArchiveCursor& cursor, const Head& head) {
  Definition definition;
  definition.id = cursor.integer();
  cursor.integer();  // whether there is data
  cursor.text();     // object identifiers of the source
  cursor.text();
  definition.name = cursor.text();
  definition.kind = cursor.text();
  definition.section = section_of(cursor.integer());
  definition.create = cursor.text();
  definition.drop = cursor.text();
  cursor.text();  // COPY statement
  definition.schema = cursor.text();
  definition.tablespace = cursor.text();
  if (head.version >= kAccessMethodVersion) definition.access_method = cursor.text();
  if (head.version >= kRelationKindVersion) cursor.integer();
  definition.owner = cursor.text();
  cursor.text();  // WITH OIDS
  while (const auto needed = cursor.text_or_null()) {
    definition.needs.push_back(static_cast<int>(util::parse_int(*needed).value_or(0)));
  }
  cursor.skip(1 + head.offset_bytes);  // where the data would be
  return definition;
}

// Casts between the text types, blanks and parentheses: what printing a definition anew may change.
std::string canonical(const std::string& text) {
  static constexpr std::array<std::string_view, 6> kCasts{
      "::charactervarying[]", "::charactervarying", "::text[]", "::text", "::bpchar[]", "::bpchar"};
  std::string dense;
  for (const char c : text) {
    if (c != ' ' && c != '\n' && c != '\t' && c != '(' && c != ')') dense += c;
  }
  std::string plain;
  for (std::size_t i = 0; i < dense.size();) {
    const auto cast = std::find_if(kCasts.begin(), kCasts.end(), [&](std::string_view candidate) {
      return std::string_view(dense).substr(i).starts_with(candidate);
    });
    if (cast != kCasts.end()) {
      i += cast->size();
    } else {
      plain += dense[i++];
    }
  }
  return plain;
}

bool is_compared(const Definition& definition, const Comparison& how) {
  if (is_about_database(definition) || definition.section == Definition::Section::data)
    return false;
  return how.owners || (definition.kind != "ACL" && definition.kind != "DEFAULT ACL");
}

std::string comparable(const Definition& definition, const Comparison& how) {
  std::string text = cat(definition.kind, "\t", definition.schema, "\t", definition.name, "\t",
                         definition.tablespace, "\t", definition.access_method, "\t");
  if (how.owners) text += definition.owner;
  return cat(text, "\t", canonical(definition.create));
}

using Key = std::pair<std::string, std::string>;

// Several entries may have the same name, so texts are collected.
std::map<std::string, std::multiset<std::string>> by_object(const Definitions& definitions,
                                                            const Comparison& how) {
  std::map<std::string, std::multiset<std::string>> objects;
  for (const Definition& definition : definitions.list) {
    if (!is_compared(definition, how)) continue;
    objects[definition.shown()].insert(comparable(definition, how));
  }
  return objects;
}

// Kinds that exist for the sake of another object and come along with it.
bool is_appendage(const Definition& definition) {
  static constexpr std::array<std::string_view, 22> kKinds{"ACL",
                                                           "COMMENT",
                                                           "SECURITY LABEL",
                                                           "DEFAULT",
                                                           "CONSTRAINT",
                                                           "CHECK CONSTRAINT",
                                                           "FK CONSTRAINT",
                                                           "INDEX",
                                                           "INDEX ATTACH",
                                                           "TABLE ATTACH",
                                                           "TRIGGER",
                                                           "RULE",
                                                           "POLICY",
                                                           "ROW SECURITY",
                                                           "STATISTICS",
                                                           "SEQUENCE OWNED BY",
                                                           "PUBLICATION TABLE",
                                                           "EXTENDED STATISTICS",
                                                           "ACL LANGUAGE",
                                                           "NOT NULL",
                                                           "REPLICA IDENTITY",
                                                           "CLUSTER"};
  return std::find(kKinds.begin(), kKinds.end(), definition.kind) != kKinds.end();
}
}  // namespace

std::string Definition::shown() const {
  return util::printable(schema.empty() ? cat(kind, " ", name) : cat(kind, " ", schema, ".", name));
}

const Definition* Definitions::find(int id) const {
  const auto found = std::find_if(list.begin(), list.end(),
                                  [&](const Definition& entry) { return entry.id == id; });
  return found == list.end() ? nullptr : &*found;
}

util::Bytes dump_definitions(const Program& pg_dump, const Login& login,
                             const std::string& database, const std::string& snapshot,
                             const std::stop_token& stop) {
  std::vector<std::string> arguments{"--format=custom", "--schema-only", "--no-password",
                                     cat("--lock-wait-timeout=", login.lock_timeout.count())};
  if (!snapshot.empty()) arguments.push_back("--snapshot=" + snapshot);
  arguments.push_back("--dbname=" + login.connection_string(database));
  util::Bytes archive;
  const ProgramEnd end = run_program(pg_dump, arguments, login, stop, [&](util::ByteView piece) {
    archive.insert(archive.end(), piece.begin(), piece.end());
  });
  if (end.exit_status != 0) {
    const std::string said =
        end.messages.empty() ? cat("exit status ", end.exit_status) : end.messages.front();
    const bool denied = said.find("permission denied") != std::string::npos;
    throw Error(denied ? ErrorCode::permission_denied : ErrorCode::unavailable,
                cat("reading the definitions with ", pg_dump.path, ": ", said),
                denied ? "pg_dump locks every table, so the login must be able to read all of "
                         "them: 'GRANT pg_read_all_data TO it'"
                       : "");
  }
  ArchiveCursor cursor(archive);
  const Head head = read_head(cursor);
  std::fill_n(archive.begin() + static_cast<std::ptrdiff_t>(head.date_at), head.date_bytes,
              std::uint8_t{0});
  return archive;
}

Definitions read_definitions(util::ByteView archive) {
  ArchiveCursor cursor(archive);
  const Head head = read_head(cursor);
  Definitions definitions;
  cursor.text();  // the database's name
  definitions.server_version = cursor.text();
  definitions.program_version = cursor.text();
  const int count = cursor.integer();
  for (int i = 0; i < count; ++i) definitions.list.push_back(read_definition(cursor, head));
  return definitions;
}

bool is_about_database(const Definition& definition) {
  static constexpr std::array<std::string_view, 5> kKinds{"DATABASE", "DATABASE PROPERTIES",
                                                          "ENCODING", "STDSTRINGS", "SEARCHPATH"};
  return std::find(kKinds.begin(), kKinds.end(), definition.kind) != kKinds.end() ||
         ((definition.kind == "ACL" || definition.kind == "COMMENT" ||
           definition.kind == "SECURITY LABEL") &&
          definition.name.starts_with("DATABASE "));
}

repository::RowHash hash_definitions(const Definitions& definitions, const Comparison& how) {
  repository::RowHash hash;
  for (const Definition& definition : definitions.list) {
    if (is_compared(definition, how)) hash.add(util::as_bytes(comparable(definition, how)));
  }
  return hash;
}

std::vector<std::string> differences(const Definitions& expected, const Definitions& actual,
                                     const Comparison& how, std::size_t most) {
  const auto wanted = by_object(expected, how);
  const auto found = by_object(actual, how);
  std::vector<std::string> list;
  const auto note = [&](const std::string& object, const char* what) {
    if (list.size() < most) list.push_back(cat(object, " ", what));
  };
  for (const auto& [object, texts] : wanted) {
    const auto other = found.find(object);
    if (other == found.end()) {
      note(object, "is missing");
    } else if (other->second != texts) {
      note(object, "differs");
    }
  }
  for (const auto& [object, texts] : found) {
    if (!wanted.contains(object)) note(object, "is there but was not backed up");
  }
  return list;
}

namespace {
// The selection under construction: what is added brings what it depends on.
class Selection {
 public:
  explicit Selection(const Definitions& definitions) : definitions_(definitions) {
    for (const Definition& definition : definitions.list) by_id_[definition.id] = &definition;
  }

  bool contains(int id) const { return chosen_.contains(id); }
  const std::set<int>& chosen() const { return chosen_; }

  void add(int id) {
    std::vector<int> open{id};
    while (!open.empty()) {
      const int next = open.back();
      open.pop_back();
      const auto found = by_id_.find(next);
      if (found == by_id_.end() || !chosen_.insert(next).second) continue;
      open.insert(open.end(), found->second->needs.begin(), found->second->needs.end());
    }
  }

  // What belongs to the chosen objects. An appendage may hang on another one (a comment on an
  // index), so this goes on until nothing changes.
  void add_appendages() {
    for (std::size_t before = 0; before != chosen_.size();) {
      before = chosen_.size();
      for (const Definition& definition : definitions_.list) {
        if (!contains(definition.id) && (is_complete(definition) || is_part_of_table(definition))) {
          add(definition.id);
        }
      }
    }
  }

  // Of a chosen table, but not chosen itself.
  bool was_left_out(const Definition& definition) const {
    return !contains(definition.id) &&
           std::any_of(definition.needs.begin(), definition.needs.end(), [&](int id) {
             return is_chosen_table(id) && definition.name.starts_with(by_id_.at(id)->name + " ");
           });
  }

 private:
  bool is_chosen_table(int id) const { return contains(id) && by_id_.at(id)->kind == "TABLE"; }

  bool is_complete(const Definition& definition) const {
    return is_appendage(definition) && !definition.needs.empty() &&
           std::all_of(definition.needs.begin(), definition.needs.end(),
                       [&](int id) { return contains(id) || !by_id_.contains(id); });
  }

  // Comes with its table whatever else it needs (a function, a sequence), if that is no table.
  bool is_part_of_table(const Definition& definition) const {
    static constexpr std::array<std::string_view, 7> kKinds{
        "DEFAULT", "CONSTRAINT", "CHECK CONSTRAINT", "INDEX", "TRIGGER", "STATISTICS", "SEQUENCE"};
    if (std::find(kKinds.begin(), kKinds.end(), definition.kind) == kKinds.end()) return false;
    bool ours = false;
    for (const int id : definition.needs) {
      const auto found = by_id_.find(id);
      if (found == by_id_.end() || found->second->kind != "TABLE") continue;
      if (!contains(id)) return false;
      ours = true;
    }
    return ours;
  }

  const Definitions& definitions_;
  std::map<int, const Definition*> by_id_;
  std::set<int> chosen_;
};
}  // namespace

std::set<int> closure(const Definitions& definitions, const std::set<Key>& tables,
                      std::vector<std::string>& left_out) {
  Selection selection(definitions);
  for (const Definition& definition : definitions.list) {
    const bool table =
        definition.kind == "TABLE" && tables.contains({definition.schema, definition.name});
    const bool schema = definition.kind == "SCHEMA" &&
                        std::any_of(tables.begin(), tables.end(), [&](const Key& chosen) {
                          return chosen.first == definition.name;
                        });
    if (table || schema) selection.add(definition.id);
  }
  selection.add_appendages();
  for (const Definition& definition : definitions.list) {
    if (definition.kind == "FK CONSTRAINT" && selection.was_left_out(definition)) {
      left_out.push_back(definition.shown());
    }
  }
  return selection.chosen();
}

}  // namespace dbbackup::engine::postgresql
