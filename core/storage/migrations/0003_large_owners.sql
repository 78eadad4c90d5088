-- Owners with more messages than are ranked one by one: an index of near vectors for each of them.

-- An index is the table owner's to make, so this runs as whoever migrated; it makes nothing but the
-- index of one owner and model, and only for the owner whose transaction this is. Building holds up
-- writers of vectors, never of messages. Windows have none: search takes those around the nearest turns.
CREATE FUNCTION build_vector_index(p_owner_id bigint, p_model text, p_dimension integer)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = locum, public, pg_temp
SET maintenance_work_mem = '512MB' SET max_parallel_maintenance_workers = 0
AS $$
BEGIN
    IF p_owner_id IS DISTINCT FROM current_owner() OR p_model IS NULL OR p_dimension NOT BETWEEN 1 AND 4000 THEN
        RAISE EXCEPTION 'an owner in charge, a model and its dimension are required'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format(
        'CREATE INDEX IF NOT EXISTS %I ON embeddings
         USING hnsw ((embedding::halfvec(%s)) halfvec_ip_ops)
         WHERE owner_id = %s AND model = %L AND span = ''turn''',
        format('near_%s_%s', p_owner_id, left(md5(p_model), 8)), p_dimension, p_owner_id, p_model);
END $$;

-- After many rows came or went: fresh statistics for the planner, and no words left waiting.
CREATE FUNCTION analyze_memory() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = locum, public, pg_temp
AS $$
BEGIN
    PERFORM gin_clean_pending_list('messages_tsv'), gin_clean_pending_list('facts_tsv');
    ANALYZE messages, passages, embeddings, fact_embeddings;
END $$;

-- True when an index stands, or stood already, for this owner and model.
CREATE FUNCTION prepare_large_owner(p_owner_id bigint, p_model text) RETURNS boolean LANGUAGE plpgsql
SET search_path = locum, public, pg_temp
AS $$
DECLARE v_dimension integer;
BEGIN
    IF (SELECT count(*) FROM embeddings
        WHERE owner_id = p_owner_id AND model = p_model AND span = 'turn') <= exact_search_limit() THEN
        RETURN false;
    END IF;
    SELECT dimension INTO v_dimension FROM embeddings WHERE owner_id = p_owner_id AND model = p_model LIMIT 1;
    PERFORM build_vector_index(p_owner_id, p_model, v_dimension);
    RETURN true;
END $$;

REVOKE ALL ON FUNCTION build_vector_index, analyze_memory, prepare_large_owner FROM PUBLIC;
GRANT EXECUTE ON FUNCTION build_vector_index, analyze_memory, prepare_large_owner TO locum_app;
