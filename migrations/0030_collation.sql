-- Every text is compared and put in order by its bytes, in whatever locale the database was made: a dump then restores anywhere, with the same
-- unique names, the same order and indexes that no update of the system's locales breaks. Whatever people take for the same word is folded by
-- the services before it comes here (core/src/domain/name.rs). After all tables, so that none is forgotten; a test refuses a column without it.
do $$
declare it record;
begin
  for it in
    select c.oid::regclass as tab, a.attname as col, format_type(a.atttypid, a.atttypmod) as type
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.relkind in ('r', 'p') and c.relnamespace in ('public'::regnamespace, 'catalog'::regnamespace, 'directory'::regnamespace)
      and a.attnum > 0 and not a.attisdropped and a.attcollation <> 0 and a.attcollation <> '"C"'::regcollation
      and c.relname <> '_sqlx_migrations' and not c.relispartition -- parts change with their whole
  loop
    execute format('alter table %s alter column %I type %s collate "C"', it.tab, it.col, it.type);
  end loop;
end $$;
