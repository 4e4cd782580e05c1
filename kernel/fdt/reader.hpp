// Reads a flattened device tree where it lies, without allocation (Devicetree Specification v0.4, chapter 5).
//
// The blob is untrusted: parse() checks its whole structure once, and every later access is checked against the blocks'
// bounds again, so that the worst a hostile tree can cause is an error or a missing node. All functions may run in any
// context, also before the MMU is on: they read bytes and keep no state outside the objects.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/base/types.hpp"

namespace ax::fdt {

/// Deepest nesting that parse() accepts; the root is at depth 1.
inline constexpr usize kMaxDepth = 32;
/// Most #interrupt-cells that an interrupt specifier may have.
inline constexpr usize kMaxInterruptCells = 4;

class Fdt;
class Node;

/// The 32-bit big-endian number at byte `offset`. The caller has checked that four bytes are there.
constexpr u32 load_be32(std::span<const std::byte> bytes, usize offset) {
  return std::to_integer<u32>(bytes[offset]) << 24 | std::to_integer<u32>(bytes[offset + 1]) << 16 |
         std::to_integer<u32>(bytes[offset + 2]) << 8 | std::to_integer<u32>(bytes[offset + 3]);
}

/// The strings of a property value (`compatible`, `clock-names`). Text without a closing NUL is not listed.
class StringList {
 public:
  class Iterator {
   public:
    constexpr explicit Iterator(std::string_view rest) : rest_(rest) { settle(); }
    constexpr std::string_view operator*() const { return rest_.substr(0, length_); }
    constexpr Iterator& operator++() {
      rest_.remove_prefix(length_ + 1);
      settle();
      return *this;
    }
    constexpr bool operator==(const Iterator& other) const { return rest_.size() == other.rest_.size(); }

   private:
    constexpr void settle() {
      length_ = rest_.find('\0');
      if (length_ == std::string_view::npos) rest_ = {}, length_ = 0;
    }
    std::string_view rest_;
    usize length_ = 0;
  };

  constexpr explicit StringList(std::string_view text) : text_(text) {}
  constexpr Iterator begin() const { return Iterator(text_); }
  constexpr Iterator end() const { return Iterator({}); }
  constexpr bool contains(std::string_view wanted) const {
    for (std::string_view s : *this) {
      if (s == wanted) return true;
    }
    return false;
  }

 private:
  std::string_view text_;
};

/// One property: a name and uninterpreted bytes, both inside the blob.
struct Property {
  std::string_view name{};
  std::span<const std::byte> data{};

  usize cell_count() const { return data.size() / 4; }
  /// Cell `index`, or OutOfRange.
  Result<u32> cell(usize index) const;
  /// `count` (0, 1 or 2) cells from `first` on as one number. Errors: OutOfRange; NotSupported for more than two cells.
  Result<u64> number(usize first, usize count) const;
  /// A value of exactly one cell, else Malformed.
  Result<u32> as_u32() const;
  /// A value of one or two cells, else Malformed.
  Result<u64> as_u64() const;
  /// The first string, without its NUL; Malformed when there is no NUL.
  Result<std::string_view> as_string() const;
  StringList strings() const { return StringList({reinterpret_cast<const char*>(data.data()), data.size()}); }
};

/// One element of the structure block.
struct Token {
  enum class Kind : u8 { BeginNode, EndNode, Property, End, Bad };
  Kind kind = Kind::Bad;
  u32 offset = 0;  ///< of the token, after any NOP before it
  u32 next = 0;    ///< of what follows it
  std::string_view name{};
  std::span<const std::byte> data{};
};

/// Which names token_at() returns: those of properties are elsewhere, and looking for their ends is most of the work.
enum class Names : u8 { All, OfNodes };

struct EndOfRange {};

class PropertyRange {
 public:
  class Iterator {
   public:
    Iterator(const Fdt& tree, u32 offset);
    Property operator*() const { return {token_.name, token_.data}; }
    Iterator& operator++();
    bool operator==(EndOfRange) const { return token_.kind != Token::Kind::Property; }

   private:
    const Fdt* tree_;
    Token token_;
  };
  PropertyRange(const Fdt& tree, u32 offset) : tree_(&tree), offset_(offset) {}
  Iterator begin() const { return {*tree_, offset_}; }
  EndOfRange end() const { return {}; }

 private:
  const Fdt* tree_;
  u32 offset_;
};

class ChildRange;

/// A node: a position in a tree. Valid as long as the Fdt it came from stays where it is.
class Node {
 public:
  /// The root of an empty tree.
  Node() : tree_(&kNoTree) {}
  Node(const Fdt& tree, u32 offset) : tree_(&tree), offset_(offset) {}

  const Fdt& tree() const { return *tree_; }
  u32 offset() const { return offset_; }
  /// `uart@9000000`; empty for the root.
  std::string_view name() const;
  /// The part of the name before `@`.
  std::string_view base_name() const;

  PropertyRange properties() const;
  std::optional<Property> property(std::string_view name) const;
  bool has(std::string_view name) const { return property(name).has_value(); }
  ChildRange children() const;
  /// The first child with that name; without `@` in `name` also one that has a unit address.
  std::optional<Node> child(std::string_view name) const;

  bool is_compatible(std::string_view model) const;
  /// `status` is absent, "okay" or "ok".
  bool is_enabled() const;
  std::optional<u32> phandle() const;
  /// The first string of property `name`; empty when there is none.
  std::string_view string(std::string_view name) const;
  /// Property `name` as one cell; `fallback` when it is absent or has another size.
  u32 cell_or(std::string_view name, u32 fallback) const;
  /// Of this node, which means: for the `reg` of its children.
  u32 address_cells() const { return cell_or("#address-cells", 2); }
  u32 size_cells() const { return cell_or("#size-cells", 1); }

  friend bool operator==(const Node& a, const Node& b) { return a.tree_ == b.tree_ && a.offset_ == b.offset_; }

 private:
  u32 body() const;  ///< offset of the first token inside the node
  static const Fdt kNoTree;
  const Fdt* tree_;
  u32 offset_ = 0;
};

class ChildRange {
 public:
  class Iterator {
   public:
    Iterator(const Fdt& tree, u32 offset);
    Node operator*() const { return {*tree_, token_.offset}; }
    Iterator& operator++();
    bool operator==(EndOfRange) const { return token_.kind != Token::Kind::BeginNode; }

   private:
    const Fdt* tree_;
    Token token_;
  };
  ChildRange(const Fdt& tree, u32 offset) : tree_(&tree), offset_(offset) {}
  Iterator begin() const { return {*tree_, offset_}; }
  EndOfRange end() const { return {}; }

 private:
  const Fdt* tree_;
  u32 offset_;
};

/// The nodes from the root down to, and without, a node.
using Ancestors = StaticVector<Node, kMaxDepth>;

/// All nodes in document order (a parent before its children). The iterator knows the way from the root to its node.
class NodeRange {
 public:
  class Iterator {
   public:
    explicit Iterator(const Fdt& tree);
    Node operator*() const { return {*tree_, path_[depth_ - 1]}; }
    Iterator& operator++();
    bool operator==(EndOfRange) const { return depth_ == 0; }
    /// 1 for the root.
    usize depth() const { return depth_; }
    /// The ancestor at depth `level` (1 = root), up to depth(), which is the node itself.
    Node at_depth(usize level) const { return {*tree_, path_[level - 1]}; }

   private:
    void advance(u32 offset);
    const Fdt* tree_;
    std::array<u32, kMaxDepth> path_{};
    usize depth_ = 0;
    u32 next_ = 0;
  };
  explicit NodeRange(const Fdt& tree) : tree_(&tree) {}
  Iterator begin() const { return Iterator(*tree_); }
  EndOfRange end() const { return {}; }

 private:
  const Fdt* tree_;
};

/// An address range of the root's address space: what the CPUs see. Never wraps.
struct Region {
  u64 address = 0;
  u64 size = 0;
  friend bool operator==(const Region&, const Region&) = default;
};

/// One interrupt of a device as its controller's binding describes it.
struct Interrupt {
  Node controller;
  std::array<u32, kMaxInterruptCells> cells{};
  usize cell_count = 0;
};

/// An interrupt of the Arm GIC, from its three-cell specifier.
struct GicInterrupt {
  u32 intid = 0;
  bool edge = false;
};
/// Errors: NotSupported when the controller does not use the GIC's three cells or the type is neither SPI nor PPI;
/// OutOfRange for a number that the type does not have.
Result<GicInterrupt> decode_gic_interrupt(const Interrupt& interrupt);

/// A whole tree. A view: the blob must outlive it and must not change.
class Fdt {
 public:
  /// An empty tree: no blob, a root() without name, properties and children.
  constexpr Fdt() = default;
  /// Checks header, blocks and the complete structure of a version 17 blob; bytes after `totalsize` are ignored.
  /// Errors: Truncated when blocks or elements exceed the bytes; NotSupported for another version; Malformed.
  static Result<Fdt> parse(std::span<const std::byte> bytes);

  /// The bytes of the tree, without what followed it.
  std::span<const std::byte> blob() const { return blob_; }
  u32 boot_cpu() const { return boot_cpu_; }

  Node root() const { return {*this, root_}; }
  NodeRange nodes() const { return NodeRange(*this); }

  /// The node of an absolute path or of a path that starts with an alias. A component without a unit address also finds a
  /// node that has one.
  std::optional<Node> find(std::string_view path) const;
  std::optional<Node> find_phandle(u32 phandle) const;
  /// The first node, in document order, that lists `model` in `compatible`; with `after`, the next one behind that node.
  std::optional<Node> find_compatible(std::string_view model, std::optional<Node> after = std::nullopt) const;
  /// Root first; empty for the root.
  Ancestors ancestors(Node node) const;
  std::optional<Node> parent(Node node) const;
  /// The absolute path of a node, in `buffer`. Error: OutOfMemory when it does not fit.
  Result<std::string_view> path(Node node, std::span<char> buffer) const;

  /// Number of entries of `reg`; 0 when there is none or the cell counts of the parent are unusable.
  usize reg_count(Node node) const;
  /// Entry `index` of `reg`, translated through the `ranges` of all buses above. Errors: NotFound (no such entry),
  /// NotSupported (an address of more than two cells, or a bus without `ranges`), OutOfRange (outside the bus), Malformed.
  Result<Region> reg(Node node, usize index = 0) const;
  /// The same without a search, for callers that have the ancestors.
  Result<Region> reg(Node node, std::span<const Node> ancestors, usize index) const;
  usize reg_count(Node node, std::span<const Node> ancestors) const;
  /// Entry `index` of `reg` as it stands there: an address of the bus that the node is on, or a CPU's number.
  /// Errors: NotFound, NotSupported (an address of more than two cells), Malformed (the range wraps).
  Result<Region> bus_reg(Node node, std::span<const Node> ancestors, usize index) const;

  /// Interrupt `index` of a node, from `interrupts-extended` or `interrupts`. Errors: NotFound (no such entry, or no
  /// controller), NotSupported (too many cells), Malformed.
  Result<Interrupt> interrupt(Node node, usize index = 0) const;
  Result<Interrupt> interrupt(Node node, std::span<const Node> ancestors, usize index) const;

  /// Entries of the memory reservation block.
  usize reservation_count() const { return reservation_count_; }
  Region reservation(usize index) const;

  /// The token at or, after NOPs, behind `offset` of the structure block; Bad when there is none.
  Token token_at(u32 offset, Names names = Names::All) const;
  /// Whether that is the name of a property that token_at() has found.
  bool has_name(const Token& property, std::string_view name) const;
  /// The offset behind the node that begins at `offset`; the end of the block when the node has no end.
  u32 skip_node(u32 offset) const;

 private:
  std::optional<Node> find_below(Node node, std::string_view path) const;
  Result<void> validate_header(std::span<const std::byte> bytes);
  Result<void> validate_structure();
  Result<void> count_reservations();

  std::span<const std::byte> blob_{};
  std::span<const std::byte> structure_{};
  std::span<const std::byte> strings_{};
  bool names_end_ = false;  ///< the block of names ends with a NUL, so that every name in it does
  std::span<const std::byte> reservations_{};
  usize reservation_count_ = 0;
  u32 root_ = 0;
  u32 boot_cpu_ = 0;
};

}  // namespace ax::fdt
