#include "kernel/fdt/reader.hpp"

#include <bit>

#include "kernel/fdt/format.hpp"

namespace ax::fdt {
namespace {

using Bytes = std::span<const std::byte>;

u64 load_be64(Bytes bytes, usize offset) {
  return static_cast<u64>(load_be32(bytes, offset)) << 32 | load_be32(bytes, offset + 4);
}

/// load_be32() where every instruction counts: a tree is walked many times while a machine starts.
[[gnu::always_inline]] inline u32 load_word(const std::byte* at) {
  u32 value;
  __builtin_memcpy(&value, at, sizeof value);
  return std::endian::native == std::endian::little ? __builtin_bswap32(value) : value;
}

bool has_bytes(Bytes bytes, usize offset, usize count) {
  return offset <= bytes.size() && count <= bytes.size() - offset;
}

/// The text at `offset` up to its NUL; nothing when the NUL is missing.
std::optional<std::string_view> terminated_string(Bytes bytes, usize offset) {
  if (offset >= bytes.size()) return std::nullopt;
  const std::string_view rest(reinterpret_cast<const char*>(bytes.data()) + offset, bytes.size() - offset);
  const usize length = rest.find('\0');
  if (length == std::string_view::npos) return std::nullopt;
  return rest.substr(0, length);
}

bool name_matches(std::string_view name, std::string_view wanted) {
  if (name == wanted) return true;
  return wanted.find('@') == std::string_view::npos && name.substr(0, name.find('@')) == wanted;
}

bool makes_sense(u32 address_cells, u32 size_cells) {
  constexpr u32 kMostAddressCells = 3;  // PCI
  constexpr u32 kMostSizeCells = 2;
  return address_cells >= 1 && address_cells <= kMostAddressCells && size_cells <= kMostSizeCells;
}

/// The address of `region` on the parent bus of `bus`, whose own children use the address.
Result<Region> translate(Node bus, Node parent, Region region) {
  const auto ranges = bus.property("ranges");
  if (!ranges) return fail(Error::NotSupported);
  if (ranges->data.empty()) return region;
  const u32 child_cells = bus.address_cells();
  const u32 parent_cells = parent.address_cells();
  const u32 size_cells = bus.size_cells();
  if (!makes_sense(child_cells, size_cells) || !makes_sense(parent_cells, 0)) return fail(Error::Malformed);
  const usize entry = child_cells + parent_cells + size_cells;
  for (usize i = 0; i + entry <= ranges->cell_count(); i += entry) {
    const u64 child = TRY(ranges->number(i, child_cells));
    const u64 base = TRY(ranges->number(i + child_cells, parent_cells));
    const u64 size = TRY(ranges->number(i + child_cells + parent_cells, size_cells));
    if (region.address < child || region.address - child >= size) continue;
    const u64 offset = region.address - child;
    if (region.size > size - offset) return fail(Error::OutOfRange);
    if (base + offset < base || base + offset + region.size < base + offset) return fail(Error::Malformed);
    return Region{base + offset, region.size};
  }
  return fail(Error::OutOfRange);
}

/// The interrupt controller that `interrupts` of a node refers to: the nearest `interrupt-parent` on the way to the root.
std::optional<Node> interrupt_parent(Node node, std::span<const Node> ancestors) {
  const auto resolve = [](Node from) -> std::optional<Node> {
    const auto phandle = from.property("interrupt-parent");
    if (!phandle) return std::nullopt;
    const auto value = phandle->as_u32();
    return value ? from.tree().find_phandle(*value) : std::nullopt;
  };
  if (node.has("interrupt-parent")) return resolve(node);
  for (usize i = ancestors.size(); i-- > 0;) {
    // A controller or nexus is the interrupt parent of what it contains; its own interrupt-parent is where it cascades to.
    if (ancestors[i].has("#interrupt-cells")) return ancestors[i];
    if (ancestors[i].has("interrupt-parent")) return resolve(ancestors[i]);
  }
  return std::nullopt;
}

Result<Interrupt> specifier(Node controller, const Property& cells, usize first) {
  const u32 count = controller.cell_or("#interrupt-cells", 0);
  if (count == 0) return fail(Error::Malformed);
  if (count > kMaxInterruptCells) return fail(Error::NotSupported);
  Interrupt interrupt{controller};
  interrupt.cell_count = count;
  for (usize i = 0; i < count; ++i) {
    const auto cell = cells.cell(first + i);
    if (!cell) return fail(Error::NotFound);
    interrupt.cells[i] = *cell;
  }
  return interrupt;
}

Result<Interrupt> extended_interrupt(const Fdt& tree, const Property& list, usize index) {
  for (usize position = 0; position < list.cell_count();) {
    const auto controller = tree.find_phandle(TRY(list.cell(position)));
    if (!controller) return fail(Error::NotFound);
    if (index-- == 0) return specifier(*controller, list, position + 1);
    position += 1 + usize{controller->cell_or("#interrupt-cells", 0)};
  }
  return fail(Error::NotFound);
}

}  // namespace

// ---- properties --------------------------------------------------------------------------------------------------------

Result<u32> Property::cell(usize index) const {
  if (index >= cell_count()) return fail(Error::OutOfRange);
  return load_be32(data, index * 4);
}

Result<u64> Property::number(usize first, usize count) const {
  if (count > 2) return fail(Error::NotSupported);
  u64 value = 0;
  for (usize i = 0; i < count; ++i) value = value << 32 | TRY(cell(first + i));
  return value;
}

Result<u32> Property::as_u32() const {
  if (data.size() != 4) return fail(Error::Malformed);
  return load_be32(data, 0);
}

Result<u64> Property::as_u64() const {
  if (data.size() != 4 && data.size() != 8) return fail(Error::Malformed);
  return number(0, cell_count());
}

Result<std::string_view> Property::as_string() const {
  const auto text = terminated_string(data, 0);
  if (!text) return fail(Error::Malformed);
  return *text;
}

// ---- ranges ------------------------------------------------------------------------------------------------------------

PropertyRange::Iterator::Iterator(const Fdt& tree, u32 offset) : tree_(&tree), token_(tree.token_at(offset)) {}

PropertyRange::Iterator& PropertyRange::Iterator::operator++() {
  token_ = tree_->token_at(token_.next);
  return *this;
}

ChildRange::Iterator::Iterator(const Fdt& tree, u32 offset) : tree_(&tree), token_(tree.token_at(offset)) {
  while (token_.kind == Token::Kind::Property) token_ = tree_->token_at(token_.next, Names::OfNodes);
}

ChildRange::Iterator& ChildRange::Iterator::operator++() {
  token_ = tree_->token_at(tree_->skip_node(token_.offset));
  return *this;
}

NodeRange::Iterator::Iterator(const Fdt& tree) : tree_(&tree) { advance(tree.root().offset()); }

NodeRange::Iterator& NodeRange::Iterator::operator++() {
  advance(next_);
  return *this;
}

// Every pass consumes a token, so the loop ends with the structure block at the latest.
void NodeRange::Iterator::advance(u32 offset) {
  for (;;) {
    const Token token = tree_->token_at(offset, Names::OfNodes);
    offset = token.next;
    switch (token.kind) {
      case Token::Kind::BeginNode:
        if (depth_ == kMaxDepth) { depth_ = 0; return; }
        path_[depth_++] = token.offset;
        next_ = offset;
        return;
      case Token::Kind::EndNode:
        if (depth_ <= 1) { depth_ = 0; return; }
        --depth_;
        break;
      case Token::Kind::Property: break;
      case Token::Kind::End:
      case Token::Kind::Bad: depth_ = 0; return;
    }
  }
}

constinit const Fdt Node::kNoTree{};

// ---- nodes -------------------------------------------------------------------------------------------------------------

std::string_view Node::name() const { return tree_->token_at(offset_).name; }

std::string_view Node::base_name() const {
  const std::string_view full = name();
  return full.substr(0, full.find('@'));
}

u32 Node::body() const { return tree_->token_at(offset_).next; }

PropertyRange Node::properties() const { return {*tree_, body()}; }

ChildRange Node::children() const { return {*tree_, body()}; }

std::optional<Property> Node::property(std::string_view name) const {
  for (Token token = tree_->token_at(body(), Names::OfNodes); token.kind == Token::Kind::Property;
       token = tree_->token_at(token.next, Names::OfNodes)) {
    if (tree_->has_name(token, name)) return Property{tree_->token_at(token.offset).name, token.data};
  }
  return std::nullopt;
}

std::optional<Node> Node::child(std::string_view name) const {
  for (Node node : children()) {
    if (name_matches(node.name(), name)) return node;
  }
  return std::nullopt;
}

bool Node::is_compatible(std::string_view model) const {
  const auto compatible = property("compatible");
  return compatible && compatible->strings().contains(model);
}

bool Node::is_enabled() const {
  const auto status = property("status");
  if (!status) return true;
  const auto text = status->as_string();
  return text && (*text == "okay" || *text == "ok");
}

std::optional<u32> Node::phandle() const {
  for (Token token = tree_->token_at(body(), Names::OfNodes); token.kind == Token::Kind::Property;
       token = tree_->token_at(token.next, Names::OfNodes)) {
    if (!tree_->has_name(token, "phandle") && !tree_->has_name(token, "linux,phandle")) continue;
    if (const auto value = Property{{}, token.data}.as_u32()) return *value;
  }
  return std::nullopt;
}

std::string_view Node::string(std::string_view name) const {
  const auto p = property(name);
  if (!p) return {};
  return p->as_string().value_or(std::string_view{});
}

u32 Node::cell_or(std::string_view name, u32 fallback) const {
  const auto p = property(name);
  if (!p) return fallback;
  return p->as_u32().value_or(fallback);
}

// ---- parsing -----------------------------------------------------------------------------------------------------------

Result<Fdt> Fdt::parse(Bytes bytes) {
  Fdt tree;
  TRY(tree.validate_header(bytes));
  TRY(tree.count_reservations());
  TRY(tree.validate_structure());
  return tree;
}

Result<void> Fdt::validate_header(Bytes bytes) {
  if (bytes.size() < kHeaderSize) return fail(Error::Truncated);
  if (load_be32(bytes, kHeaderMagic) != kMagic) return fail(Error::Malformed);
  if (load_be32(bytes, kHeaderVersion) < kVersion) return fail(Error::NotSupported);
  if (load_be32(bytes, kHeaderLastCompatibleVersion) > kVersion) return fail(Error::NotSupported);
  const u32 total = load_be32(bytes, kHeaderTotalSize);
  if (total < kHeaderSize) return fail(Error::Malformed);
  if (total > bytes.size()) return fail(Error::Truncated);
  blob_ = bytes.first(total);

  const u32 structure = load_be32(blob_, kHeaderStructureOffset);
  const u32 structure_size = load_be32(blob_, kHeaderStructureSize);
  const u32 strings = load_be32(blob_, kHeaderStringsOffset);
  const u32 strings_size = load_be32(blob_, kHeaderStringsSize);
  const u32 reservations = load_be32(blob_, kHeaderReservationsOffset);
  if (!is_aligned(structure, kTokenSize) || !is_aligned(reservations, kReservationAlignment)) {
    return fail(Error::Malformed);
  }
  if (!has_bytes(blob_, structure, structure_size) || !has_bytes(blob_, strings, strings_size) ||
      !has_bytes(blob_, reservations, 0)) {
    return fail(Error::Truncated);
  }
  structure_ = blob_.subspan(structure, structure_size);
  strings_ = blob_.subspan(strings, strings_size);
  names_end_ = !strings_.empty() && strings_.back() == std::byte{0};
  reservations_ = blob_.subspan(reservations);
  boot_cpu_ = load_be32(blob_, kHeaderBootCpu);
  return {};
}

Result<void> Fdt::count_reservations() {
  for (usize offset = 0; has_bytes(reservations_, offset, kReservationSize); offset += kReservationSize) {
    const u64 address = load_be64(reservations_, offset);
    const u64 size = load_be64(reservations_, offset + 8);
    if (address == 0 && size == 0) return {};
    if (address + size < address) return fail(Error::Malformed);
    ++reservation_count_;
  }
  return fail(Error::Truncated);
}

Result<void> Fdt::validate_structure() {
  usize depth = 0;
  bool children_begun = false;  // whether the innermost open node has had a child: no property may follow
  const Token first = token_at(0);
  if (first.kind != Token::Kind::BeginNode) return fail(Error::Malformed);
  root_ = first.offset;
  for (u32 offset = 0;;) {
    const Token token = token_at(offset, Names::OfNodes);
    offset = token.next;
    switch (token.kind) {
      case Token::Kind::BeginNode:
        if (depth == kMaxDepth) return fail(Error::NotSupported);
        if (depth > 0 && (token.name.empty() || token.name.find('/') != std::string_view::npos)) {
          return fail(Error::Malformed);
        }
        ++depth;
        children_begun = false;
        break;
      case Token::Kind::EndNode:
        if (--depth == 0) return token_at(offset).kind == Token::Kind::End ? Result<void>{} : fail(Error::Malformed);
        children_begun = true;
        break;
      case Token::Kind::Property:
        if (children_begun) return fail(Error::Malformed);
        break;
      case Token::Kind::End: return fail(Error::Malformed);
      case Token::Kind::Bad: return fail(offset >= structure_.size() ? Error::Truncated : Error::Malformed);
    }
  }
}

bool Fdt::has_name(const Token& property, std::string_view name) const {
  const u32 at = load_word(structure_.data() + property.offset + 8);
  return has_bytes(strings_, at, name.size() + 1) && strings_[at + name.size()] == std::byte{0} &&
         __builtin_memcmp(strings_.data() + at, name.data(), name.size()) == 0;
}

Token Fdt::token_at(u32 offset, Names names) const {
  Token token;
  token.next = static_cast<u32>(structure_.size());
  u32 type = kTokenNop;
  // An offset never exceeds the block, which is smaller than 4 GiB, so none of these sums wraps a usize.
  while (type == kTokenNop) {
    if (!is_aligned(offset, kTokenSize) || !has_bytes(structure_, offset, kTokenSize)) return token;
    token.offset = offset;
    type = load_word(structure_.data() + offset);
    offset += kTokenSize;
  }
  const auto finish = [&](Token::Kind kind, usize next) {
    token.kind = kind;
    // The padding of the last element may be missing when the block ends there; the next read will notice.
    token.next = next < structure_.size() ? static_cast<u32>(next) : static_cast<u32>(structure_.size());
    return token;
  };
  switch (type) {
    case kTokenBeginNode: {
      const auto name = terminated_string(structure_, offset);
      if (!name) return token;
      token.name = *name;
      return finish(Token::Kind::BeginNode, align_up(usize{offset} + name->size() + 1, kTokenSize));
    }
    case kTokenEndNode: return finish(Token::Kind::EndNode, offset);
    case kTokenEnd: return finish(Token::Kind::End, offset);
    case kTokenProperty: {
      if (!has_bytes(structure_, token.offset, kPropertyHeaderSize)) return token;
      const u32 length = load_word(structure_.data() + token.offset + 4);
      const usize data = usize{token.offset} + kPropertyHeaderSize;
      if (!has_bytes(structure_, data, length)) return token;
      if (names == Names::OfNodes && names_end_) {
        if (load_word(structure_.data() + token.offset + 8) >= strings_.size()) return token;
      } else {
        const auto name = terminated_string(strings_, load_be32(structure_, token.offset + 8));
        if (!name) return token;
        token.name = *name;
      }
      token.data = structure_.subspan(data, length);
      return finish(Token::Kind::Property, align_up(data + length, kTokenSize));
    }
    default: token.next = token.offset; return token;
  }
}

u32 Fdt::skip_node(u32 offset) const {
  usize depth = 0;
  for (;;) {
    const Token token = token_at(offset, Names::OfNodes);
    switch (token.kind) {
      case Token::Kind::BeginNode: ++depth; break;
      case Token::Kind::EndNode:
        if (depth <= 1) return token.next;
        --depth;
        break;
      case Token::Kind::Property: break;
      case Token::Kind::End:
      case Token::Kind::Bad: return static_cast<u32>(structure_.size());
    }
    offset = token.next;
  }
}

// ---- searching ---------------------------------------------------------------------------------------------------------

std::optional<Node> Fdt::find(std::string_view path) const {
  if (path.empty()) return std::nullopt;
  if (path.front() != '/') {
    const usize slash = path.find('/');
    const auto aliases = root().child("aliases");
    const std::string_view target = aliases ? aliases->string(path.substr(0, slash)) : std::string_view{};
    if (target.empty() || target.front() != '/') return std::nullopt;
    const auto node = find(target);
    if (!node || slash == std::string_view::npos) return node;
    path = path.substr(slash);
    return find_below(*node, path);
  }
  return find_below(root(), path);
}

std::optional<Node> Fdt::find_below(Node node, std::string_view path) const {
  while (!path.empty()) {
    if (path.front() == '/') {
      path.remove_prefix(1);
      continue;
    }
    const std::string_view component = path.substr(0, path.find('/'));
    const auto child = node.child(component);
    if (!child) return std::nullopt;
    node = *child;
    path.remove_prefix(component.size());
  }
  return node;
}

std::optional<Node> Fdt::find_phandle(u32 phandle) const {
  for (Node node : nodes()) {
    if (node.phandle() == phandle) return node;
  }
  return std::nullopt;
}

std::optional<Node> Fdt::find_compatible(std::string_view model, std::optional<Node> after) const {
  for (Node node : nodes()) {
    if (after && node.offset() <= after->offset()) continue;
    if (node.is_compatible(model)) return node;
  }
  return std::nullopt;
}

Ancestors Fdt::ancestors(Node node) const {
  Ancestors found;
  const NodeRange all = nodes();
  for (auto it = all.begin(); it != all.end(); ++it) {
    if ((*it).offset() != node.offset()) continue;
    for (usize level = 1; level < it.depth(); ++level) (void)found.push_back(it.at_depth(level));
    break;
  }
  return found;
}

std::optional<Node> Fdt::parent(Node node) const {
  const Ancestors above = ancestors(node);
  if (above.empty()) return std::nullopt;
  return above[above.size() - 1];
}

Result<std::string_view> Fdt::path(Node node, std::span<char> buffer) const {
  usize used = 0;
  const auto append = [&](std::string_view component) {
    if (component.size() + 1 > buffer.size() - used) return false;
    buffer[used++] = '/';
    for (char c : component) buffer[used++] = c;
    return true;
  };
  const Ancestors above = ancestors(node);
  for (usize i = 1; i < above.size(); ++i) {
    if (!append(above[i].name())) return fail(Error::OutOfMemory);
  }
  if (!append(above.empty() ? std::string_view{} : node.name())) return fail(Error::OutOfMemory);
  return std::string_view(buffer.data(), used);
}

// ---- addresses ---------------------------------------------------------------------------------------------------------

usize Fdt::reg_count(Node node) const { return reg_count(node, ancestors(node)); }

usize Fdt::reg_count(Node node, std::span<const Node> above) const {
  const auto reg = node.property("reg");
  if (!reg || above.empty()) return 0;
  const Node parent = above.back();
  if (!makes_sense(parent.address_cells(), parent.size_cells())) return 0;
  return reg->cell_count() / (parent.address_cells() + parent.size_cells());
}

Result<Region> Fdt::reg(Node node, usize index) const { return reg(node, ancestors(node), index); }

Result<Region> Fdt::reg(Node node, std::span<const Node> above, usize index) const {
  Region region = TRY(bus_reg(node, above, index));
  for (usize level = above.size(); level-- > 1;) region = TRY(translate(above[level], above[level - 1], region));
  return region;
}

Result<Region> Fdt::bus_reg(Node node, std::span<const Node> above, usize index) const {
  if (index >= reg_count(node, above)) return fail(Error::NotFound);
  const Node bus = above.back();
  const u32 address_cells = bus.address_cells();
  const u32 size_cells = bus.size_cells();
  const Property property = *node.property("reg");
  const usize first = index * (address_cells + size_cells);
  const Region region{TRY(property.number(first, address_cells)), TRY(property.number(first + address_cells, size_cells))};
  if (region.address + region.size < region.address) return fail(Error::Malformed);
  return region;
}

Region Fdt::reservation(usize index) const {
  if (index >= reservation_count_) return {};
  return {load_be64(reservations_, index * kReservationSize), load_be64(reservations_, index * kReservationSize + 8)};
}

// ---- interrupts --------------------------------------------------------------------------------------------------------

Result<Interrupt> Fdt::interrupt(Node node, usize index) const { return interrupt(node, ancestors(node), index); }

Result<Interrupt> Fdt::interrupt(Node node, std::span<const Node> above, usize index) const {
  if (const auto extended = node.property("interrupts-extended")) return extended_interrupt(*this, *extended, index);
  const auto list = node.property("interrupts");
  if (!list) return fail(Error::NotFound);
  const auto controller = interrupt_parent(node, above);
  if (!controller) return fail(Error::NotFound);
  const u32 cells = controller->cell_or("#interrupt-cells", 0);
  if (cells == 0) return fail(Error::Malformed);
  if (index >= list->cell_count() / cells) return fail(Error::NotFound);
  return specifier(*controller, *list, index * cells);
}

Result<GicInterrupt> decode_gic_interrupt(const Interrupt& interrupt) {
  if (interrupt.cell_count < kGicCells) return fail(Error::NotSupported);
  const u32 type = interrupt.cells[0];
  const u32 number = interrupt.cells[1];
  const bool edge = (interrupt.cells[2] & kTriggerEdgeMask) != 0;
  if (type == kGicSpi) {
    if (number >= kGicSpiCount) return fail(Error::OutOfRange);
    return GicInterrupt{kGicFirstSpi + number, edge};
  }
  if (type == kGicPpi) {
    if (number >= kGicPpiCount) return fail(Error::OutOfRange);
    return GicInterrupt{kGicFirstPpi + number, edge};
  }
  return fail(Error::NotSupported);
}

}  // namespace ax::fdt
