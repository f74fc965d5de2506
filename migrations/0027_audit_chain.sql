-- The audit log as a chain for each organization. Each entry has the hash of the one before in its own, so that none can be changed, left out, put
-- in between or moved without all that follow being made anew; and each hash is sealed with a key that the database does not have, so that
-- whoever owns the database cannot make them anew either. The service checks it (core/src/records/chain.rs), and so can anybody who has an
-- export (docs/API.md): the three must hash the same bytes.

-- Made after the other indexes of the table: of those that begin alike, a plan made while the table is empty takes the newest (0005_seats.sql).
create unique index audit_log_by_seq on audit_log (tenant_id, seq);

-- The newest entry of each organization's chain. Whoever appends has this row until the transaction ends, so that entries are in one order.
create table audit_heads (
  tenant_id uuid primary key references organizations,
  seq       bigint not null,
  hash      bytea not null,
  seal      text collate "C"
);
alter table audit_heads enable row level security;
alter table audit_heads force row level security;
create policy own_tenant on audit_heads
  using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select on audit_heads to admin;

-- Texts one after the other, each with its length in front, so that no two lists are written alike (a netstring: 5:hello,).
-- In PL/pgSQL, as the next, which keeps its plan (0001_schemas.sql).
create function history.audit_text(variadic p_parts text[]) returns bytea language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare part text; said text := '';
begin
  foreach part in array p_parts loop
    said := said || octet_length(part) || ':' || part || ',';
  end loop;
  return convert_to(said, 'UTF8');
end $$;

-- The hash of what may be erased some day. With a salt that is forgotten then: without it nobody could tell what was said, not even by trying.
create function history.audit_details_hash(p_salt bytea, p_entry public.audit_log) returns bytea language plpgsql immutable
set search_path = pg_catalog, pg_temp as $$
begin
  return sha256(coalesce(p_salt, '') || convert_to(jsonb_build_object('actor_name', p_entry.actor_name, 'from_address', p_entry.from_address,
    'request_id', p_entry.request_id, 'before', p_entry.before, 'after', p_entry.after)::text, 'UTF8'));
end $$;

-- Appends an entry: its id, its time and its place are the database's. The caller seals its hash before it commits.
create function history.audit_append(p_tenant uuid, p_actor_kind text, p_actor text, p_actor_name text, p_action text, p_target text,
  p_before jsonb, p_after jsonb, p_from_address text, p_request_id text, out id uuid, out seq bigint, out hash bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare entry public.audit_log; head public.audit_heads;
begin
  insert into public.audit_heads as h (tenant_id, seq, hash) values (p_tenant, 1, decode(repeat('00', 32), 'hex'))
  on conflict (tenant_id) do update set seq = h.seq + 1
  returning * into head; -- the row is ours until the end; its hash still is that of the entry before
  entry.tenant_id := p_tenant;
  entry.id := public.uuid_v7();
  entry.actor_kind := p_actor_kind;
  entry.actor := p_actor;
  entry.actor_name := p_actor_name;
  entry.action := p_action;
  entry.target := p_target;
  entry.before := nullif(p_before, 'null');
  entry.after := nullif(p_after, 'null');
  entry.from_address := p_from_address;
  entry.request_id := p_request_id;
  entry.seq := head.seq;
  entry.salt := uuid_send(gen_random_uuid());
  entry.details_hash := history.audit_details_hash(entry.salt, entry);
  entry.hash := sha256(history.audit_text('audit-entry-v1', encode(head.hash, 'hex'), entry.seq::text, p_tenant::text, entry.id::text,
    p_actor_kind, p_actor, p_action, p_target, encode(entry.details_hash, 'hex')));
  insert into public.audit_log (tenant_id, id, actor_kind, actor, actor_name, action, target, before, after, from_address, request_id,
    seq, salt, details_hash, hash)
  values (entry.tenant_id, entry.id, entry.actor_kind, entry.actor, entry.actor_name, entry.action, entry.target, entry.before, entry.after,
    entry.from_address, entry.request_id, entry.seq, entry.salt, entry.details_hash, entry.hash);
  update public.audit_heads h set hash = entry.hash, seal = null where h.tenant_id = p_tenant;
  id := entry.id;
  seq := entry.seq;
  hash := entry.hash;
end $$;

-- Writes the seal of an entry that has none, once.
create function history.audit_seal(p_tenant uuid, p_seq bigint, p_seal text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  update public.audit_log a set seal = p_seal where a.tenant_id = p_tenant and a.seq = p_seq and a.seal is null;
  update public.audit_heads h set seal = p_seal where h.tenant_id = p_tenant and h.seq = p_seq and h.seal is null
$$;

-- Writes what an erasure left of an entry; answers its place if it was as its hashes say before. What was not is left without a seal, so that
-- no erasure makes good what somebody changed.
create function history.audit_blank(p_erasure uuid, p_entry public.audit_log, p_blank public.audit_log) returns bigint[]
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  was bytea := case when p_entry.erased_by is null then p_entry.details_hash else p_entry.erased_hash end;
  true_before boolean := was = history.audit_details_hash(p_entry.salt, p_entry) and (p_entry.erased_by is null or p_entry.erased_seal is not null);
begin
  update public.audit_log a
  set actor_name = p_blank.actor_name, from_address = p_blank.from_address, before = p_blank.before, after = p_blank.after,
      request_id = p_blank.request_id, salt = null, erased_by = p_erasure, erased_hash = history.audit_details_hash(null, p_blank), erased_seal = null
  where a.tenant_id = p_entry.tenant_id and a.seq = p_entry.seq and a.id = p_entry.id;
  return case when true_before then array[p_entry.seq] else '{}' end;
end $$;

-- What an earlier erasure had left of an entry, with its seal: only the service can tell whether that is good. An empty list: there was none.
create function history.audit_earlier(p_entry public.audit_log) returns jsonb language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when p_entry.erased_by is null then '[]' else jsonb_build_array(jsonb_build_object('seq', p_entry.seq,
    'erased_by', p_entry.erased_by, 'erased_hash', encode(p_entry.erased_hash, 'hex'), 'erased_seal', p_entry.erased_seal)) end
$$;

-- Writes the seals of what an erasure left.
create function history.audit_seal_erased(p_tenant uuid, p_erasure uuid, p_seqs bigint[], p_seals text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  for n in 1 .. cardinality(p_seqs) loop
    update public.audit_log a set erased_seal = p_seals[n]
    where a.tenant_id = p_tenant and a.seq = p_seqs[n] and a.erased_by = p_erasure and a.erased_seal is null;
  end loop;
end $$;

-- The same for what staff did to the catalog, which is a chain of its own: the organization in it is 00000000-0000-0000-0000-000000000000, and
-- nothing in it is erased, so that there is no salt.
create table catalog.staff_head (
  one  boolean primary key default true check (one), -- there is one
  seq  bigint not null,
  hash bytea not null
);
insert into catalog.staff_head (seq, hash) values (0, decode(repeat('00', 32), 'hex'));

create function history.staff_append(p_actor text, p_actor_name text, p_action text, p_target text, p_before jsonb, p_after jsonb,
  p_from_address text, p_request_id text, out seq bigint, out hash bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare entry public.audit_log; head catalog.staff_head;
begin
  update catalog.staff_head h set seq = h.seq + 1 returning * into strict head;
  entry.id := public.uuid_v7();
  entry.actor_name := p_actor_name;
  entry.before := nullif(p_before, 'null');
  entry.after := nullif(p_after, 'null');
  entry.from_address := p_from_address;
  entry.request_id := p_request_id;
  seq := head.seq;
  hash := sha256(history.audit_text('audit-entry-v1', encode(head.hash, 'hex'), seq::text, '00000000-0000-0000-0000-000000000000', entry.id::text,
    'staff', p_actor, p_action, p_target, encode(history.audit_details_hash(null, entry), 'hex')));
  insert into catalog.staff_log (id, actor, actor_name, action, target, before, after, from_address, request_id, seq, hash)
  values (entry.id, p_actor, entry.actor_name, p_action, p_target, entry.before, entry.after, entry.from_address, entry.request_id, seq, staff_append.hash);
  update catalog.staff_head h set hash = staff_append.hash;
end $$;

create function history.staff_seal(p_seq bigint, p_seal text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  update catalog.staff_log l set seal = p_seal where l.seq = p_seq and l.seal is null
$$;

-- The log as an export of an organization's is, one JSON object a line, for whoever owns the database.
create function history.staff_export() returns setof text language sql stable set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object('seq', l.seq, 'id', l.id, 'actor_kind', 'staff', 'actor', l.actor, 'action', l.action, 'target', l.target,
    'details', d.details, 'salt', null, 'details_hash', encode(sha256(convert_to(d.details, 'UTF8')), 'hex'), 'hash', encode(l.hash, 'hex'),
    'seal', l.seal, 'erased_by', null, 'erased_hash', null, 'erased_seal', null)::text
  from catalog.staff_log l, lateral (select jsonb_build_object('actor_name', l.actor_name, 'from_address', l.from_address,
    'request_id', l.request_id, 'before', l.before, 'after', l.after)::text) d (details)
  order by l.seq, l.id
$$;

grant execute on function history.staff_append(text, text, text, text, jsonb, jsonb, text, text), history.staff_seal(bigint, text) to admin;
grant execute on function history.audit_append(uuid, text, text, text, text, text, jsonb, jsonb, text, text), history.audit_seal(uuid, bigint, text),
  history.audit_seal_erased(uuid, uuid, bigint[], text[]) to admin;
