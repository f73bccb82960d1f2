-- message_table.lua: reads messages/*.tbl into a tree and checks it. The language: README.md.
--
-- Result of read(path): { name=<file stem>, messages={ message… }, api=<api or nil> }
-- message: { name=, min=, max=, flexible=<first flexible version or nil>,
--            structs={ struct… children first }, root=struct }
-- struct:  { name=<C tag less "kafka_">, min=, max=, fields={ field… } }
-- field:   { name=, type=<primitive or "struct">, of=<struct>, array=, min=, max=,
--            null_from=, tag=, default=, ignorable=, classic= }
local table_reader = {}

local PRIMITIVES = {
    int8 = true, int16 = true, int32 = true, int64 = true, float64 = true, bool = true,
    uuid = true,
    string = true, bytes = true, records = true,
}

local NEVER_NULL = {
    int8 = true, int16 = true, int32 = true, int64 = true, float64 = true, bool = true,
    uuid = true,
}

local function snake_case(name)
    return (name:gsub("(%l)(%u)", "%1_%2"):lower())
end

local function fail(place, text)
    error(("%s:%d: %s"):format(place.path, place.line, text), 0)
end

local function check(place, condition, text)
    if not condition then
        fail(place, text)
    end
    return condition
end

-- "3-13", "0" -> 3, 13
local function read_range(place, text)
    local from, to = text:match("^(%d+)%-(%d+)$")
    from = from or text:match("^%d+$")
    check(place, from, "not a version range: " .. text)
    local range = { min = tonumber(from), max = tonumber(to or from) }
    check(place, range.min <= range.max, "empty version range: " .. text)
    return range
end

local function read_number(place, text)
    return check(place, tonumber(text), "a number is wanted")
end

-- Every attribute: what it, and the words that it takes, mean to the field.
local ATTRIBUTES = {
    since = function(place, field, words) field.min = read_number(place, words()) end,
    ["until"] = function(place, field, words) field.max = read_number(place, words()) end,
    versions = function(place, field, words)
        local range = read_range(place, words() or "")
        field.min, field.max = range.min, range.max
    end,
    tag = function(place, field, words) field.tag = read_number(place, words()) end,
    default = function(place, field, words)
        field.default = check(place, words(), "default <value>")
    end,
    ignorable = function(place, field) field.ignorable = true end,
    classic = function(place, field) field.classic = true end,
}

local function read_attributes(place, field, text)
    local list, at = {}, 0
    for word in text:gmatch("%S+") do
        list[#list + 1] = word
    end
    local function words()
        at = at + 1
        return list[at]
    end
    for word in words do
        if word == "null" then
            field.null_from = field.min
            if tonumber(list[at + 1]) then
                field.null_from = tonumber(words())
            end
        else
            check(place, ATTRIBUTES[word], "unknown attribute: " .. word)(place, field, words)
        end
    end
    if field.null_from and field.null_from < field.min then
        field.null_from = field.min
    end
end

local function check_field(place, field, parent)
    check(place, field.min <= field.max, "a field without versions")
    check(place, field.min >= parent.min and field.max <= parent.max,
          "versions outside of those of " .. parent.name)
    check(place, field.default ~= "null" or field.null_from, "default null, not nullable")
    check(place, not (field.tag and field.type == "records"), "records cannot be a tagged field")
    check(place, field.array or not (field.null_from and NEVER_NULL[field.type]),
          "this type cannot be null")
    check(place, field.array or field.type ~= "struct" or not (field.null_from and field.tag),
          "a nullable struct cannot be a tagged field")
    for _, other in ipairs(parent.fields) do
        check(place, other.name ~= field.name, "a second field " .. field.name)
        check(place, not field.tag or other.tag ~= field.tag,
              "a second tag " .. tostring(field.tag))
    end
end

-- One message under construction: `stack` holds the struct that a line of each depth belongs to.
local function message_new(name, range, flexible)
    local root = { name = name, min = range.min, max = range.max, fields = {} }
    return {
        name = name, min = range.min, max = range.max, flexible = flexible,
        root = root, structs = {}, by_name = {}, stack = { root },
    }
end

local function struct_new(place, message, short, range)
    check(place, not message.by_name[short], "a second struct " .. short)
    local name = message.name .. "_" .. short
    local struct = { name = name, min = range.min, max = range.max, fields = {} }
    message.by_name[short] = struct
    return struct
end

local function add_field(place, message, depth, name, type_text, rest)
    local parent = check(place, message.stack[depth], "indented too far")
    local array, base = type_text:match("^(%[?%]?)([%w_]+)$")
    check(place, base, "not a type: " .. type_text)
    local field = { name = name, array = array == "[]", min = parent.min, max = parent.max }
    field.type = PRIMITIVES[base] and base or "struct"
    read_attributes(place, field, rest)
    check_field(place, field, parent)
    for i = depth + 1, #message.stack do
        message.stack[i] = nil
    end
    if field.type == "struct" then
        -- A struct named before is shared; a new one is described by the deeper lines below.
        field.of = message.by_name[base]
        if not field.of then
            field.of = struct_new(place, message, base, field)
            message.stack[depth + 1] = field.of
        end
    end
    parent.fields[#parent.fields + 1] = field
end

local function add_shared_struct(place, message, short)
    for i = 2, #message.stack do
        message.stack[i] = nil
    end
    message.stack[2] = struct_new(place, message, short, message)
end

-- Structs in the order in which C wants them; a struct without fields or within itself is refused.
local function order_structs(place, message)
    local done, open = {}, {}
    local function put(struct)
        check(place, not open[struct], "struct within itself: " .. struct.name)
        open[struct] = true
        for _, field in ipairs(struct.fields) do
            if field.of and not done[field.of] then
                check(place, #field.of.fields > 0, "a struct without fields: " .. field.of.name)
                put(field.of)
            end
        end
        open[struct] = nil
        done[struct] = true
        message.structs[#message.structs + 1] = struct
    end
    put(message.root)
end

local function read_head(place, text)
    local kind, rest = text:match("^(%l+)%s+(.*)$")
    local key
    if kind == "api" then
        key, rest = rest:match("^(%d+)%s+(.*)$")
        check(place, key, "api <key> <Name> versions <range> …")
    end
    local name, range = rest:match("^(%w+)%s+versions%s+(%S+)")
    check(place, name, kind .. " <Name> versions <range> …")
    return {
        kind = kind, key = tonumber(key), name = name, range = read_range(place, range),
        flexible = tonumber(rest:match("flexible%-from%s+(%d+)")),
        advertised = tonumber(rest:match("advertised%-from%s+(%d+)")),
        legacy = tonumber(rest:match("legacy%-from%s+(%d+)")),
    }
end

local HEADS = { api = true, header = true, data = true }

function table_reader.read(path)
    local result = { name = path:match("([%w_]+)%.tbl$"), messages = {} }
    local place = { path = path, line = 0 }
    local head, message
    local function start(name)
        local range = { min = head.legacy or head.range.min, max = head.range.max }
        message = message_new(name, range, head.flexible)
        message.standard = head.range.min
        result.messages[#result.messages + 1] = message
    end
    for line in io.lines(path) do
        place.line = place.line + 1
        local indent, text = line:gsub("#.*", ""):match("^( *)(.-)%s*$")
        local word = text:match("^%S+")
        if not word then -- empty line or comment
        elseif #indent == 0 and HEADS[word] then
            head = read_head(place, text)
            if head.kind == "api" then
                check(place, not result.api, "a second api")
                result.api = head
            else
                start(snake_case(head.name))
            end
        elseif #indent == 0 then
            check(place, result.api and (text == "request" or text == "response"),
                  "unknown: " .. text)
            start(snake_case(head.name) .. "_" .. text)
            result.api[text] = message
        elseif word == "struct" then
            check(place, message, "outside of a message")
            add_shared_struct(place, message,
                              check(place, text:match("^struct%s+([%w_]+)$"), "struct <name>"))
        else
            check(place, message and #indent % 2 == 0, "an indent of two spaces a level is wanted")
            local name, type_text, rest = text:match("^([%w_]+)%s+(%S+)%s*(.*)$")
            check(place, name, "<name> <type> <attributes>")
            add_field(place, message, #indent // 2, name, type_text, rest)
        end
    end
    for _, one in ipairs(result.messages) do
        order_structs(place, one)
    end
    return result
end

return table_reader
