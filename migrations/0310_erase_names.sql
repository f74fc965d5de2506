-- Erasing a person or a machine: names, addresses and labels are blanked wherever they were written down; ids, times
-- and counts stay. No role that serves may change what is over, nor a line of the audit log, so the owner does it, by
-- the functions history.erase_… that admin may call, and only for an erasure that stands in the audit log of the
-- organization. Every call is one short transaction over a bounded number of rows (core/src/management/erasing.rs
-- asks for them one after the other).
--   p_by, p_whom  'person' and an address as sessions have it, or 'hw' and a machine's public hash
--   p_people      addresses of one person, folded; p_names: what that person is called, folded
--   p_after       where the last call ended; `after` is where this one did, null at the end
-- This file says how names are found in what was written down.

-- How names are compared (core/src/domain/name.rs), as near as the database can. By Unicode's own table and not by the
-- locale the database was made with; nothing that is kept depends on it.
create function history.folded(p_text text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select replace(replace(lower(normalize(p_text) collate "und-x-icu"), 'ß', 'ss'), 'ς', 'σ') collate "C"
$$;
revoke execute on function history.folded from public;

-- And how what names a person is: as sessions.person and users.address have it (core/src/domain/email.rs). Of addresses
-- with ß and ss each is another mailbox.
create function history.key(p_text text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when strpos(p_text, '@') > 0 then lower(normalize(p_text) collate "und-x-icu") collate "C"
    else history.folded(p_text) end
$$;
revoke execute on function history.key from public;

-- Whether one of these addresses stands in a text by itself: b@example.com is not found in a.b@example.com, nor in
-- b@example.com.au. A word that is no address names somebody only where a client said that it does, which is asked
-- there: "ci" and "viewer" are other things too.
create function history.names(p_text text, p_people text[]) returns boolean
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare person text; folded text := history.key(p_text);
begin
  foreach person in array p_people loop
    if strpos(person, '@') > 1 and strpos(folded, person) > 0
      and folded ~ ('(^|[\s<>(){}\[\],;:"''|/])' || regexp_replace(person, '([^[:alnum:]])', '\\\1', 'g')
      || '($|[\s<>(){}\[\],;:"''|/]|[.!?]+($|\s))') then return true; end if;
  end loop;
  return false;
end $$;
revoke execute on function history.names from public;

-- A value in which nobody of these is named any more. An address stays something that has the form of one.
create function history.scrub(p_value jsonb, p_people text[], p_names text[]) returns jsonb language plpgsql immutable
set search_path = pg_catalog, pg_temp as $$
begin
  case jsonb_typeof(p_value)
    when 'string' then
      return case when history.names(p_value #>> '{}', p_people) then to_jsonb('erased'::text) else p_value end;
    when 'array' then
      return coalesce((select jsonb_agg(history.scrub(e.value, p_people, p_names) order by e.at)
        from jsonb_array_elements(p_value) with ordinality as e (value, at)), '[]');
    when 'object' then
      return coalesce((select jsonb_object_agg(e.key, case
          when e.key = 'email' and history.names(e.value #>> '{}', p_people)
            then to_jsonb('erased@erased.invalid'::text)
          when e.key = 'name' and history.folded(e.value #>> '{}') = any (p_names) then to_jsonb('erased'::text)
          else history.scrub(e.value, p_people, p_names) end)
        from jsonb_each(p_value) as e), '{}');
    else return p_value;
  end case;
end $$;
revoke execute on function history.scrub from public;

-- The same words as they stand in the text of a JSON value: a quick look before the exact one.
create function history.needles(p_words text[]) returns text[]
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select coalesce(array_agg(t.folded)
    || array_agg(substr(to_jsonb(t.folded)::text, 2, length(to_jsonb(t.folded)::text) - 2)), '{}')
  from unnest(p_words) as given (word), history.folded(given.word) as t (folded)
  where t.folded <> ''
$$;
revoke execute on function history.needles from public;

-- Whether one of these words stands anywhere in a text.
create function history.has_any(p_text text, p_needles text[]) returns boolean
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare needle text; folded text := history.folded(p_text);
begin
  foreach needle in array p_needles loop
    if strpos(folded, needle) > 0 then return true; end if;
  end loop;
  return false;
end $$;
revoke execute on function history.has_any from public;
