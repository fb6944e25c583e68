/**
 * The scripts for claims of clients' frames. A claim is made in one step.
 *
 * Each client has two keys. The hash has an entry for each id: `>` and the owner, or `=` and the reply, which is empty
 * if it was dropped; `bytes` is the size of its replies. The list has the ids in the order of their claims. An id is
 * JSON, so it is never `bytes`.
 */
const prelude = `
local entries, order, id, owner = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local entry = redis.call('HGET', entries, id)

local function changeBytes(by)
  return tonumber(redis.call('HINCRBY', entries, 'bytes', string.format('%.0f', by)))
end

local function add(value, max)
  redis.call('HSET', entries, id, value)
  redis.call('RPUSH', order, id)
  while redis.call('LLEN', order) > max do
    local oldest = redis.call('LPOP', order)
    local kept = redis.call('HGET', entries, oldest)
    if kept and string.sub(kept, 1, 1) == '=' then changeBytes(1 - #kept) end
    redis.call('HDEL', entries, oldest)
  end
end

local function renew(ms)
  redis.call('PEXPIRE', entries, ms)
  redis.call('PEXPIRE', order, ms)
end
`;

/** Keys: hash, list. Arguments: id, owner, number of ids, milliseconds. Returns the entry. */
export const claimScript = `${prelude}
if not entry then
  entry = '>' .. owner
  add(entry, tonumber(ARGV[3]))
end
renew(ARGV[4])
return entry
`;

/** Keys: hash, list. Arguments: id, owner, number of ids, milliseconds, bytes of replies, reply. */
export const settleScript = `${prelude}
if entry and entry ~= '>' .. owner then return 0 end
local bytesMax, reply = tonumber(ARGV[5]), ARGV[6]
if entry then redis.call('HSET', entries, id, '=' .. reply) else add('=' .. reply, tonumber(ARGV[3])) end
local bytes = changeBytes(#reply)
if bytes > bytesMax then
  for _, oldest in ipairs(redis.call('LRANGE', order, 0, -1)) do
    if bytes <= bytesMax then break end
    local kept = redis.call('HGET', entries, oldest)
    if kept and #kept > 1 and string.sub(kept, 1, 1) == '=' then
      redis.call('HSET', entries, oldest, '=')
      bytes = changeBytes(1 - #kept)
    end
  end
end
renew(ARGV[4])
return 1
`;

/** Keys: hash, list. Arguments: id, owner. */
export const releaseScript = `${prelude}
if entry ~= '>' .. owner then return 0 end
redis.call('HDEL', entries, id)
redis.call('LREM', order, 1, id)
return 1
`;
