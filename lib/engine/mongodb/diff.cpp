#include "engine/mongodb/diff.hpp"

#include <map>
#include <set>
#include <string>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mongodb {

namespace {
using util::ByteView;
using util::cat;

[[noreturn]] void unknown_section(std::string_view name) {
  throw util::Error(
      util::ErrorCode::unsupported,
      cat("an oplog entry holds a delta with the unknown section \"", util::printable(name), "\""),
      "restore an artifact whose consistency is a snapshot");
}

ByteView document_of(const Element& element) {
  const auto inner = element.document();
  if (!inner) unknown_section(element.name);
  return *inner;
}

Element array_delta(const Element& old, ByteView delta, Document& storage);

// A field under a sub-delta. A value of another kind than the delta expects stays as it is: the
// delta was made for an older state, and a later entry sets the field.
void append_changed(Document& result, const Element& old, ByteView delta) {
  const bool for_array = find_truth(delta, "a");
  if (for_array && old.type == BsonType::array) {
    Document storage;
    result.element_as(old.name, array_delta(old, delta, storage));
  } else if (!for_array && old.type == BsonType::document) {
    result.document(old.name, apply_delta(old.value, delta));
  } else {
    result.element(old);
  }
}

struct ArrayChanges {
  std::map<std::size_t, Element> values;
  std::map<std::size_t, ByteView> deltas;
  std::optional<std::size_t> length;
};

ArrayChanges array_changes(ByteView delta) {
  ArrayChanges changes;
  Walker walker(delta);
  while (const auto section = walker.next()) {
    const std::string_view name = section->name;
    if (name == "a") continue;
    if (name == "l") {
      changes.length = static_cast<std::size_t>(section->integer().value_or(0));
      continue;
    }
    const auto index = util::parse_int(name.substr(1));
    if (!index || *index < 0 || (name[0] != 'u' && name[0] != 's')) unknown_section(name);
    if (name[0] == 'u') {
      changes.values[static_cast<std::size_t>(*index)] = *section;
    } else {
      changes.deltas[static_cast<std::size_t>(*index)] = document_of(*section);
    }
  }
  return changes;
}

Element array_delta(const Element& old, ByteView delta, Document& storage) {
  const ArrayChanges changes = array_changes(delta);
  std::size_t index = 0;
  Walker walker(old.value);
  while (const auto item = walker.next()) {
    if (changes.length && index >= *changes.length) break;
    const Element numbered{item->type, item->name, item->value};
    if (const auto value = changes.values.find(index); value != changes.values.end()) {
      storage.element_as(std::to_string(index), value->second);
    } else if (const auto inner = changes.deltas.find(index); inner != changes.deltas.end()) {
      append_changed(storage, numbered, inner->second);
    } else {
      storage.element(numbered);
    }
    ++index;
  }
  std::size_t length = changes.length.value_or(index);
  if (!changes.values.empty()) length = std::max(length, changes.values.rbegin()->first + 1);
  for (; index < length; ++index) {
    const auto value = changes.values.find(index);
    storage.element_as(std::to_string(index), value == changes.values.end()
                                                  ? Element{BsonType::null, {}, {}}
                                                  : value->second);
  }
  return {BsonType::array, old.name, storage.view()};
}
}  // namespace

Document apply_delta(ByteView document, ByteView delta) {
  std::set<std::string_view> dropped;  // deleted, or inserted anew at the end
  std::map<std::string_view, Element> updated;
  std::map<std::string_view, ByteView> deltas;
  std::vector<Element> appended;
  Walker sections(delta);
  while (const auto section = sections.next()) {
    if (section->name.starts_with('s') && section->name.size() > 1) {
      deltas[section->name.substr(1)] = document_of(*section);
      continue;
    }
    if (section->name != "d" && section->name != "u" && section->name != "i") {
      unknown_section(section->name);
    }
    Walker fields(document_of(*section));
    while (const auto field = fields.next()) {
      if (section->name == "u") updated[field->name] = *field;
      if (section->name != "u") dropped.insert(field->name);
      if (section->name != "d") appended.push_back(*field);
    }
  }

  Document result;
  std::set<std::string_view> in_place;
  Walker walker(document);
  while (const auto field = walker.next()) {
    if (dropped.contains(field->name)) continue;
    if (const auto value = updated.find(field->name); value != updated.end()) {
      result.element(value->second);
      in_place.insert(field->name);
    } else if (const auto inner = deltas.find(field->name); inner != deltas.end()) {
      append_changed(result, *field, inner->second);
    } else {
      result.element(*field);
    }
  }
  for (const Element& field : appended) {
    if (!in_place.contains(field.name)) result.element(field);
  }
  return result;
}

}  // namespace dbbackup::engine::mongodb
