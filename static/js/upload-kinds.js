// Which identifier kinds the destinations of a segment take. Each is {name, kind, label, takes: kinds of a file}.

// Long numbers and UUIDs are everybody's ids: their shape alone says little about what they are.
const COMMON_SHAPES = new Set(["xandr_id", "uuid"]);
const ANY_SHAPE = ["custom_id", "user_account_id", "user_agent_id", "provider_id"];

export const takenBy = (destinations) => new Set(destinations.flatMap((one) => one.takes));

// Those that cannot be fed with a kind; nobody while it is not known.
export const without = (destinations, kind) => (kind ? destinations.filter((one) => !one.takes.includes(kind)) : []);

// What a column without a known name most likely holds, by its shape; of several readings the one that most take.
export function guessed(destinations, shape) {
  const takers = (kind) => destinations.length - without(destinations, kind).length;
  if (!shape || !COMMON_SHAPES.has(shape) || 2 * takers(shape) > destinations.length) return shape ?? onlyKind(destinations) ?? "";
  return ANY_SHAPE.reduce((best, kind) => (takers(kind) > takers(best) ? kind : best), shape);
}

// A segment that is fed with one kind alone leaves no choice.
function onlyKind(destinations) {
  const wanted = [...new Set(destinations.map((one) => one.kind))];
  return wanted.length === 1 ? wanted[0] : null;
}
