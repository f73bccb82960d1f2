-- c_emitter.lua: turns a struct of a message table into C: type, defaults, reader, writer.
--
-- Everything is decided per field by two questions: in which versions is it there (relative to
-- those in which its struct is), and how is it written then (compact from the first flexible
-- version on).
local emitter = {}

local PRIMITIVES = {
    int8 = { c = "int8_t", size = 1 },
    int16 = { c = "int16_t", size = 2 },
    int32 = { c = "int32_t", size = 4 },
    int64 = { c = "int64_t", size = 8 },
    float64 = { c = "double", size = 8 },
    bool = { c = "bool", size = 1 },
    uuid = { c = "struct kafka_uuid", size = 16, by_pointer = true },
    string = { c = "struct kafka_bytes", prefix = 2, sized = true },
    bytes = { c = "struct kafka_bytes", prefix = 4, sized = true },
    records = { c = "struct kafka_records", prefix = 4, sized = true, by_pointer = true },
}

local LIMITS = {
    ["-2147483648"] = "INT32_MIN",
    ["2147483647"] = "INT32_MAX",
    ["9223372036854775807"] = "INT64_MAX",
}

local function tag_of(struct)
    return "struct kafka_" .. struct.name
end

local function c_type(field)
    return field.of and tag_of(field.of) or PRIMITIVES[field.type].c
end

local function is_pointer(field) -- a nullable single struct
    return field.of and not field.array and field.null_from
end

-- "version >= 3 && version <= 5", or nil when the field is there whenever its struct is.
local function presence(struct, field)
    local terms = {}
    if field.min > struct.min then
        terms[#terms + 1] = "version >= " .. field.min
    end
    if field.max < struct.max then
        terms[#terms + 1] = "version <= " .. field.max
    end
    return #terms > 0 and table.concat(terms, " && ") or nil
end

local function from_version(first, scope)
    if not first or first > scope.max then
        return "false"
    end
    return first <= scope.min and "true" or "version >= " .. first
end

local function compact(message, struct, field)
    if field.classic then
        return "false"
    end
    local whole = from_version(message.flexible, field)
    return whole:match("^version") and from_version(message.flexible, struct):match("^version") and
               "flexible" or whole
end

local function default_value(field)
    if field.default == "null" then
        return field.of and not field.array and "NULL" or "-1"
    end
    return field.default and (LIMITS[field.default] or field.default) or "0"
end

-- The least that an element takes on the wire, over all versions: what bounds a hostile count.
local function size_min(message, field, as_element)
    local never_compact = field.classic or not message.flexible or message.flexible > field.max
    if field.array and not as_element then
        return never_compact and 4 or 1
    end
    if not field.of then
        local primitive = PRIMITIVES[field.type]
        return primitive.size or (never_compact and primitive.prefix or 1)
    end
    if is_pointer(field) then
        return 1
    end
    local sum = 0
    for _, inner in ipairs(field.of.fields) do
        if not inner.tag and not presence(field.of, inner) then
            sum = sum + size_min(message, inner)
        end
    end
    return math.max(sum, 1)
end

-- "differs from its default", for tagged fields and for fields that a version cannot carry.
local function differs(field, value)
    if field.array then
        return ("%s_count != %s"):format(value, default_value(field))
    elseif is_pointer(field) then
        return value .. " != NULL"
    elseif field.of then
        local terms = {}
        for _, inner in ipairs(field.of.fields) do
            terms[#terms + 1] = differs(inner, value .. "." .. inner.name)
        end
        return table.concat(terms, " || ")
    elseif field.type == "uuid" then
        return ("!kafka_uuid_is_zero(&%s)"):format(value)
    elseif PRIMITIVES[field.type].sized then
        return ("%s.size != %s"):format(value, default_value(field))
    elseif field.type == "bool" then
        return (field.default == "true" and "!" or "") .. value
    end
    return ("%s != %s"):format(value, default_value(field))
end

-- Designated initializers of all fields whose default is not all zero bits.
local function initializers(struct)
    local list = {}
    for _, field in ipairs(struct.fields) do
        local value
        if field.array then
            value = field.default and (".%s_count = %s"):format(field.name, default_value(field))
        elseif field.of and not field.null_from then
            local inner = initializers(field.of)
            value = inner and (".%s = {%s}"):format(field.name, inner)
        elseif field.default and PRIMITIVES[field.type] and PRIMITIVES[field.type].sized then
            value = (".%s.size = %s"):format(field.name, default_value(field))
        elseif field.default and not field.of then
            value = (".%s = %s"):format(field.name, default_value(field))
        end
        list[#list + 1] = value or nil
    end
    return #list > 0 and table.concat(list, ", ") or nil
end

local function comment(message, struct, field)
    local words = {}
    if field.min > message.min or field.max < message.max then
        words[#words + 1] = field.min == field.max and "v" .. field.min or
                            ("v%d-%d"):format(field.min, field.max)
    end
    if field.null_from then
        words[#words + 1] = field.null_from > field.min and "nullable from v" .. field.null_from or
                            "nullable"
    end
    if field.tag then
        words[#words + 1] = "tag " .. field.tag
    end
    if field.default then
        words[#words + 1] = "default " .. field.default
    end
    return #words > 0 and " /* " .. table.concat(words, ", ") .. " */" or ""
end

function emitter.struct_definition(out, message, struct)
    out("%s {", tag_of(struct))
    for _, field in ipairs(struct.fields) do
        local star = (field.array or is_pointer(field)) and "*" or ""
        out("    %s %s%s;%s", c_type(field), star, field.name, comment(message, struct, field))
        if field.array then
            out("    int32_t %s_count;%s", field.name, field.null_from and " /* -1: null */" or "")
        end
    end
    if #struct.fields == 0 then
        out("    char nothing; /* this message has no fields */")
    end
    out("};")
    out("")
end

-- Sets every field to the protocol's default.
function emitter.init_function(out, struct)
    out("static inline void kafka_%s_init(\n        %s *ret_message)", struct.name, tag_of(struct))
    out("{")
    out("    *ret_message = (%s){%s};", tag_of(struct), initializers(struct) or "0")
    out("}")
    out("")
end

-- The call that reads one value; `place` is the lvalue it goes to.
local function read_value(out, indent, message, struct, field, place)
    if field.of then
        out("%s%s_read(reader, version, &%s);", indent, field.of.name, place)
    elseif PRIMITIVES[field.type].sized then
        local nullable = field.array and "false" or from_version(field.null_from, field)
        if PRIMITIVES[field.type].by_pointer then
            out("%skafka_read_%s(reader, &%s, %s, %s);", indent, field.type, place,
                compact(message, struct, field), nullable)
        else
            out("%s%s = kafka_read_%s(reader, %s, %s);", indent, place, field.type,
                compact(message, struct, field), nullable)
        end
    else
        out("%s%s = kafka_read_%s(reader);", indent, place, field.type)
    end
end

local function read_array(out, indent, message, struct, field, place)
    out("%s%s_count = kafka_read_count(reader, %s, %s, %d);", indent, place,
        compact(message, struct, field), from_version(field.null_from, field),
        size_min(message, field, true))
    out("%s%s = kafka_read_array(reader, %s_count, sizeof *%s);", indent, place, place, place)
    out("%sfor (int32_t i = 0; i < %s_count && reader->status == SLUICE_OK; i++) {", indent, place)
    read_value(out, indent .. "    ", message, struct, field, place .. "[i]")
    out("%s}", indent)
end

local function read_pointer(out, indent, field, place)
    out("%sif (kafka_read_int8(reader) >= 0) {", indent)
    out("%s    %s = kafka_read_array(reader, 1, sizeof *%s);", indent, place, place)
    out("%s    if (%s != NULL) {", indent, place)
    out("%s        %s_read(reader, version, %s);", indent, field.of.name, place)
    out("%s    }", indent)
    out("%s}", indent)
end

local function read_field(out, indent, message, struct, field)
    local place = "message->" .. field.name
    if field.array then
        read_array(out, indent, message, struct, field, place)
    elseif is_pointer(field) then
        read_pointer(out, indent, field, place)
    else
        read_value(out, indent, message, struct, field, place)
    end
end

local function write_value(out, indent, message, struct, field, place)
    if field.of then
        out("%s%s_write(writer, version, &%s);", indent, field.of.name, place)
    elseif PRIMITIVES[field.type].sized then
        local nullable = field.array and "false" or from_version(field.null_from, field)
        out("%skafka_write_%s(writer, %s%s, %s, %s);", indent, field.type,
            PRIMITIVES[field.type].by_pointer and "&" or "", place, compact(message, struct, field),
            nullable)
    else
        out("%skafka_write_%s(writer, %s%s);", indent, field.type,
            PRIMITIVES[field.type].by_pointer and "&" or "", place)
    end
end

local function write_field(out, indent, message, struct, field)
    local place = "message->" .. field.name
    if field.array then
        out("%skafka_write_count(writer, %s_count, %s, %s);", indent, place,
            compact(message, struct, field), from_version(field.null_from, field))
        out("%sfor (int32_t i = 0; i < %s_count && writer->status == SLUICE_OK; i++) {", indent,
            place)
        write_value(out, indent .. "    ", message, struct, field, place .. "[i]")
        out("%s}", indent)
    elseif is_pointer(field) then
        out("%skafka_write_int8(writer, %s != NULL ? 1 : -1);", indent, place)
        out("%sif (%s != NULL) {", indent, place)
        out("%s    %s_write(writer, version, %s);", indent, field.of.name, place)
        out("%s}", indent)
    else
        write_value(out, indent, message, struct, field, place)
    end
end

local function tagged_fields(struct)
    local list = {}
    for _, field in ipairs(struct.fields) do
        if field.tag then
            list[#list + 1] = field
        end
    end
    table.sort(list, function(a, b) return a.tag < b.tag end)
    return list
end

local function read_tags(out, indent, message, struct)
    out("%sfor (uint32_t left = kafka_read_tag_count(reader); left > 0; left--) {", indent)
    out("%s    struct kafka_read_tag tag = kafka_read_tag_begin(reader);", indent)
    for _, field in ipairs(tagged_fields(struct)) do
        local there = presence(struct, field)
        out("%s    if (tag.tag == %d%s) {", indent, field.tag, there and " && " .. there or "")
        read_field(out, indent .. "        ", message, struct, field)
        out("%s    }", indent)
    end
    out("%s    kafka_read_tag_end(reader, &tag);", indent)
    out("%s}", indent)
end

local function write_tags(out, indent, message, struct)
    local fields = tagged_fields(struct)
    if #fields == 0 then
        out("%skafka_write_uvarint(writer, 0);", indent)
        return
    end
    for _, field in ipairs(fields) do
        local there = presence(struct, field)
        local condition = differs(field, "message->" .. field.name)
        out("%sconst bool %s_set = %s(%s);", indent, field.name, there and there .. " && " or "",
            condition)
    end
    local terms = {}
    for _, field in ipairs(fields) do
        terms[#terms + 1] = ("(%s_set ? 1u : 0u)"):format(field.name)
    end
    out("%skafka_write_uvarint(writer, %s);", indent, table.concat(terms, " + "))
    for _, field in ipairs(fields) do
        out("%sif (%s_set) {", indent, field.name)
        out("%s    size_t begin = kafka_write_tag_begin(writer, %d);", indent, field.tag)
        write_field(out, indent .. "    ", message, struct, field)
        out("%s    kafka_write_tag_end(writer, begin);", indent)
        out("%s}", indent)
    end
end

local function names(text, identifier)
    return text:find("%f[%w_]" .. identifier .. "%f[^%w_]") ~= nil
end

-- Emits a function of one struct; what its body does not name is marked as unused.
local function emit_function(out, head, message, struct, body)
    local flexible = from_version(message.flexible, struct)
    local text = table.concat(body, "\n")
    out("%s", head)
    out("{")
    if flexible:match("^version") and names(text, "flexible") then
        out("    const bool flexible = %s;", flexible)
        out("")
    elseif not names(text, "version") then
        out("    (void)version;")
    end
    for _, name in ipairs { "reader", "writer" } do
        if head:find("*" .. name, 1, true) and not names(text, name) then
            out("    (void)%s;", name)
        end
    end
    if not names(text, "message") then
        out("    (void)message;")
    end
    if #body > 0 then
        out("%s", text)
    end
    out("}")
    out("")
end

local function body_lines()
    local lines = {}
    return lines, function(format, ...) lines[#lines + 1] = format:format(...) end
end

local function emit_tags(add, message, struct, tags)
    local flexible = from_version(message.flexible, struct)
    if flexible == "true" then
        tags(add, "    ", message, struct)
    elseif flexible ~= "false" then
        add("    if (flexible) {")
        tags(add, "        ", message, struct)
        add("    }")
    end
end

function emitter.reader_function(out, message, struct)
    local lines, add = body_lines()
    add("    kafka_%s_init(message);", struct.name)
    for _, field in ipairs(struct.fields) do
        local there = presence(struct, field)
        if not field.tag and there then
            add("    if (%s) {", there)
            read_field(add, "        ", message, struct, field)
            add("    }")
        elseif not field.tag then
            read_field(add, "    ", message, struct, field)
        end
    end
    emit_tags(add, message, struct, read_tags)
    local head = "static void %s_read(struct kafka_reader *reader, int16_t version,\n" ..
                 "        %s *message)"
    emit_function(out, head:format(struct.name, tag_of(struct)), message, struct, lines)
end

-- One field that is no tagged one; `write` puts it.
local function write_member(add, indent, message, struct, field, write)
    local there = presence(struct, field)
    if not there then
        write(add, indent, message, struct, field)
        return
    end
    add("%sif (%s) {", indent, there)
    write(add, indent .. "    ", message, struct, field)
    if not field.ignorable then
        -- A field that the reader must not miss, in a version that cannot carry it.
        add("%s} else if (%s) {", indent, differs(field, "message->" .. field.name))
        add("%s    kafka_write_fail(writer, SLUICE_E_UNSUPPORTED_VERSION);", indent)
    end
    add("%s}", indent)
end

local function is_fixed(field)
    return field and not field.tag and not field.array and not field.of and
           PRIMITIVES[field.type].size
end

-- The last of the numbers that follow each other from `first` on, for which room is made at once.
-- The first one is there in all versions, so that the run is never empty.
local function run_end(struct, first)
    local last = first
    if is_fixed(struct.fields[first]) and not presence(struct, struct.fields[first]) then
        while is_fixed(struct.fields[last + 1]) do
            last = last + 1
        end
    end
    return last
end

local function put_value(out, indent, _, _, field)
    out("%sat = kafka_put_%s(at, %smessage->%s);", indent, field.type,
        PRIMITIVES[field.type].by_pointer and "&" or "", field.name)
end

local function write_run(add, message, struct, first, last)
    local always, terms = 0, {}
    for i = first, last do
        local field = struct.fields[i]
        local there, size = presence(struct, field), PRIMITIVES[field.type].size
        if there then
            terms[#terms + 1] = (" + (%s ? %du : 0u)"):format(there, size)
        else
            always = always + size
        end
    end
    add("    if (kafka_write_fits(writer, %du%s)) {", always, table.concat(terms))
    add("        uint8_t *at = writer->data + writer->size;")
    for i = first, last do
        write_member(add, "        ", message, struct, struct.fields[i], put_value)
    end
    add("        writer->size = (size_t)(at - writer->data);")
    add("    }")
end

-- A tagged field whose version cannot carry it.
local function check_tag(add, struct, field)
    local there = presence(struct, field)
    if there and not field.ignorable then
        add("    if (!(%s) && (%s)) {", there, differs(field, "message->" .. field.name))
        add("        kafka_write_fail(writer, SLUICE_E_UNSUPPORTED_VERSION);")
        add("    }")
    end
end

function emitter.writer_function(out, message, struct)
    local lines, add = body_lines()
    local at = 1
    while at <= #struct.fields do
        local field, last = struct.fields[at], run_end(struct, at)
        if last > at then
            write_run(add, message, struct, at, last)
        elseif field.tag then
            check_tag(add, struct, field)
        else
            write_member(add, "    ", message, struct, field, write_field)
        end
        at = last + 1
    end
    emit_tags(add, message, struct, write_tags)
    local head = "static void %s_write(struct kafka_writer *writer, int16_t version,\n" ..
                 "        const %s *message)"
    emit_function(out, head:format(struct.name, tag_of(struct)), message, struct, lines)
end

emitter.is_pointer = is_pointer
emitter.tag_of = tag_of

return emitter
